"""The answers of OpenAI's Responses API: response objects and their numbered server-sent events.

Source: OpenAI's responses reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ollamapy.dialects.chunks import split_calls
from ollamapy.dialects.openai import ERROR_TYPES
from ollamapy.types import CallDelta, Chunk, Final, Json, TokenLogprob

_encode = msgspec.json.Encoder().encode


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A response as clients read it: what was answered, and behind it what was asked for."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    error: dict[str, Json] | None
    incomplete_details: dict[str, Json] | None
    model: str
    output: list[dict[str, Json]]
    usage: dict[str, Json] | None
    background: bool
    instructions: str | list[Json] | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, Json]
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: dict[str, Json]
    service_tier: str
    store: bool
    temperature: float | None
    text: dict[str, Json]
    tool_choice: str | dict[str, Json]
    tools: list[dict[str, Json]]
    top_logprobs: int
    top_p: float | None
    truncation: str
    user: str | None
    dropped_messages: int = 0


class InputTokens(msgspec.Struct, frozen=True):
    """POST /v1/responses/input_tokens."""

    input_tokens: int
    object: str = "response.input_tokens"


class DeletedResponse(msgspec.Struct, frozen=True):
    """DELETE /v1/responses/{id}."""

    id: str
    object: str = "response"
    deleted: bool = True


@dataclass(slots=True)
class ResponseEvents:
    """Turns the pieces of one answer into events, in order, and keeps the response that they make.

    `echo` is repeated in the response; `created_at` is epoch seconds.
    """

    id: str
    model: str
    created_at: int
    echo: Mapping[str, Json]
    _output: list[dict[str, Json]] = field(default_factory=list, init=False)
    _open: str = field(default="", init=False)
    _open_call: int | None = field(default=None, init=False)
    _begun_calls: set[int] = field(default_factory=set, init=False)
    _sequence: int = field(default=0, init=False)
    _state: dict[str, Json] = field(default_factory=dict, init=False)

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the events of one piece; the last piece ends the stream."""
        yield from self._begin()
        if chunk.thinking:
            yield from self._think(chunk.thinking)
        going_on, new = split_calls(chunk, self._begun_calls)
        whole = {call.index for call in chunk.tool_calls}
        for delta in going_on:
            yield from self._call(delta)
        if self._open_call in whole:  # also where nothing was added to its arguments
            yield from self._end_call()
        if chunk.content or chunk.logprobs:
            yield from self._say(chunk.content, [_logprob(logprob) for logprob in chunk.logprobs])
        for delta in new:
            yield from self._call(delta)
            if delta.index in whole:
                yield from self._end_call()
        if chunk.final is not None:
            yield from self._end(chunk.final)

    def fail(self, message: str, status: int, code: str | None = None) -> Iterator[bytes]:
        """Yield the events of an error, the last of a stream."""
        yield from self._begin()
        kind = ERROR_TYPES.get(status, "api_error")
        error = {"type": kind, "code": code, "message": message, "param": None}
        yield self._event("error", {"error": error, "code": code, "message": message, "param": None})
        self._open = ""
        self._state = {"status": "failed", "error": {"code": code or "server_error", "message": message}}
        yield self._event("response.failed", {"response": self.response()})

    def response(self) -> dict[str, Json]:
        """Return the response as far as it is known."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            **self.echo,
            "output": self._output,
            "usage": None,
            **self._state,
        }

    def _begin(self) -> Iterator[bytes]:
        if not self._sequence:
            yield self._event("response.created", {"response": self.response()})
            yield self._event("response.in_progress", {"response": self.response()})

    def _end(self, final: Final) -> Iterator[bytes]:
        yield from self._close("incomplete" if final.finish_reason == "length" else "completed")
        self._state = {"status": "completed", "usage": _usage(final)}
        if final.finish_reason == "length":
            self._state |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        if final.dropped_messages:
            self._state["dropped_messages"] = final.dropped_messages
        yield self._event(f"response.{self._state['status']}", {"response": self.response()})

    def _think(self, text: str) -> Iterator[bytes]:
        if self._open != "reasoning":
            yield from self._add("rs", {"type": "reasoning", "summary": [], "encrypted_content": ""})
            part = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", {**self._at("summary"), "part": part})
            self._item["summary"] = [part]
        self._item["summary"][0]["text"] += text
        yield self._event("response.reasoning_summary_text.delta", {**self._at("summary"), "delta": text})

    def _say(self, text: str, logprobs: list[Json]) -> Iterator[bytes]:
        if self._open != "message":
            yield from self._add("msg", {"type": "message", "role": "assistant", "content": []})
            part: dict[str, Json] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield self._event("response.content_part.added", {**self._at("content"), "part": part})
            self._item["content"] = [part]
        part = self._item["content"][0]
        part["text"] += text
        part["logprobs"] += logprobs
        yield self._event("response.output_text.delta", {**self._at("content"), "delta": text, "logprobs": logprobs})

    def _call(self, delta: CallDelta) -> Iterator[bytes]:
        if delta.index not in self._begun_calls:
            self._begun_calls.add(delta.index)
            item = {"type": "function_call", "call_id": delta.id, "name": delta.name, "arguments": ""}
            yield from self._add("fc", item)
            self._open_call = delta.index
        self._item["arguments"] += delta.arguments
        yield self._event("response.function_call_arguments.delta", {**self._at(), "delta": delta.arguments})

    def _end_call(self) -> Iterator[bytes]:
        done = {"name": self._item["name"], "arguments": self._item["arguments"]}
        yield self._event("response.function_call_arguments.done", {**self._at(), **done})
        yield from self._close(is_called=True)

    def _add(self, prefix: str, item: dict[str, Json]) -> Iterator[bytes]:
        yield from self._close()
        self._open = item["type"]
        number = len(self._output)
        item_id = f"{prefix}_{self.id.removeprefix('resp_')}_{number}"
        self._output.append({"id": item_id, "status": "in_progress", **item})
        yield self._event("response.output_item.added", {"output_index": number, "item": self._item})

    def _close(self, status: str = "completed", *, is_called: bool = False) -> Iterator[bytes]:
        if not self._open:
            return
        if self._open == "reasoning":
            part = self._item["summary"][0]
            self._item["encrypted_content"] = part["text"]
            yield self._event("response.reasoning_summary_text.done", {**self._at("summary"), "text": part["text"]})
            yield self._event("response.reasoning_summary_part.done", {**self._at("summary"), "part": part})
        elif self._open == "message":
            part = self._item["content"][0]
            done = {"text": part["text"], "logprobs": part["logprobs"]}
            yield self._event("response.output_text.done", {**self._at("content"), **done})
            yield self._event("response.content_part.done", {**self._at("content"), "part": part})
        # a call that was given up, or cut, never came whole
        self._item["status"] = "incomplete" if self._open == "function_call" and not is_called else status
        self._open, self._open_call = "", None
        item = {"output_index": len(self._output) - 1, "item": self._item}
        yield self._event("response.output_item.done", item)

    @property
    def _item(self) -> dict[str, Json]:
        return self._output[-1]

    def _at(self, part: str = "") -> dict[str, Json]:
        place = {"item_id": self._item["id"], "output_index": len(self._output) - 1}
        return {**place, f"{part}_index": 0} if part else place

    def _event(self, name: str, fields: Mapping[str, Json]) -> bytes:
        data = _encode({"type": name, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def response_id(item_id: str) -> str:
    """Return the id of the response that an item belongs to."""
    return "resp_" + item_id.partition("_")[2].rpartition("_")[0]


def find_item(response: bytes, item_id: str) -> dict[str, Json] | None:
    """Return an item of a response, which is given as JSON text."""
    items: list[dict[str, Json]] = msgspec.json.decode(response)["output"]
    return next((item for item in items if item["id"] == item_id), None)


def encode(response: Mapping[str, Json] | msgspec.Struct) -> bytes:
    """Return a response as JSON."""
    return _encode(response)


def _usage(final: Final) -> dict[str, Json]:
    return {
        "input_tokens": final.prompt_tokens,
        "input_tokens_details": {"cached_tokens": final.cached_tokens},
        "output_tokens": final.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": final.prompt_tokens + final.completion_tokens,
    }


def _logprob(logprob: TokenLogprob) -> dict[str, Json]:
    return {
        "token": logprob.token,
        "logprob": logprob.logprob,
        "bytes": logprob.bytes,
        "top_logprobs": [{"token": t.token, "logprob": t.logprob, "bytes": t.bytes} for t in logprob.top],
    }
