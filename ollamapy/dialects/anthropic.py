"""The answers of Anthropic's API: whole messages, named server-sent events and errors.

Source: Anthropic's Messages API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ollamapy.dialects.chunks import split_calls
from ollamapy.dialects.native import ModelRecord
from ollamapy.types import CallDelta, Chunk, Final, Json

PING_EVENT = b'event: ping\ndata: {"type":"ping"}\n\n'
SIGNATURE = "b2xsYW1hcHk="  # clients send thinking back only where it is signed; nobody checks what with
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_encode = msgspec.json.Encoder().encode


class Usage(msgspec.Struct, frozen=True):
    """Token counts; `input_tokens` are those of the whole prompt, whether it was computed again or not."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


class TextBlock(msgspec.Struct, frozen=True, tag="text"):
    """What the model says."""

    text: str


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    """What the model thinks."""

    thinking: str
    signature: str


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """A tool that the model wants to be called."""

    id: str
    name: str
    input: Mapping[str, Json]


Block = TextBlock | ThinkingBlock | ToolUseBlock


class Message(msgspec.Struct, frozen=True, tag="message", kw_only=True):
    """An answer, whole or about to begin. `dropped_messages` is told where it is not 0."""

    id: str
    model: str
    content: Sequence[Block]
    usage: Usage
    role: str = "assistant"
    stop_reason: str | None = None
    stop_sequence: str | None = None
    dropped_messages: int | msgspec.UnsetType = msgspec.UNSET


class TokenCount(msgspec.Struct, frozen=True):
    """POST /v1/messages/count_tokens."""

    input_tokens: int


class Model(msgspec.Struct, frozen=True, tag="model"):
    """One model of /v1/models; `created_at` is RFC 3339 text."""

    id: str
    display_name: str
    created_at: str


class ModelList(msgspec.Struct, frozen=True):
    """GET /v1/models, always one page."""

    data: list[Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class Error(msgspec.Struct, frozen=True):
    """What went wrong."""

    type: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True, tag="error"):
    """A failed request, or the last event of a stream that failed."""

    error: Error
    request_id: str | None


@dataclass(slots=True)
class EventWriter:
    """Turns the pieces of one answer into named events, in order.

    `stop_sequences` are the request's: an answer that one of them ended has another reason than one that a model's own
    stop text ended.
    """

    id: str
    model: str
    stop_sequences: tuple[str, ...] = ()
    _index: int = field(default=-1, init=False)
    _open: str = field(default="", init=False)
    _is_begun: bool = field(default=False, init=False)
    _has_calls: bool = field(default=False, init=False)
    _begun_calls: set[int] = field(default_factory=set, init=False)

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the events of one piece: the first tells the length of the prompt, the last ends the stream."""
        if not self._is_begun:
            yield from self._begin(chunk.prompt_tokens or 0)
        if chunk.thinking:
            yield from self._switch("thinking", ThinkingBlock("", ""))
            yield self._delta({"type": "thinking_delta", "thinking": chunk.thinking})
        going_on, new = split_calls(chunk, self._begun_calls)
        for delta in going_on:
            yield from self._write(delta)
        if chunk.content:
            yield from self._switch("text", TextBlock(""))
            yield self._delta({"type": "text_delta", "text": chunk.content})
        for delta in new:
            yield from self._write(delta)
        self._has_calls = self._has_calls or bool(chunk.tool_calls)
        if chunk.final is not None:
            yield from self._close()
            yield from self._end(chunk.final)

    def message(self, chunk: Chunk) -> Message:
        """Return a whole answer, `chunk` being all its pieces in one."""
        final = chunk.final or Final("stop")
        content: list[Block] = []
        if chunk.thinking:
            content.append(ThinkingBlock(chunk.thinking, SIGNATURE))
        if chunk.content:
            content.append(TextBlock(chunk.content))
        content += [ToolUseBlock(call.id, call.name, call.arguments) for call in chunk.tool_calls]
        reason, sequence = self._reason(final, has_calls=bool(chunk.tool_calls))
        usage = Usage(final.prompt_tokens, final.completion_tokens)
        return Message(
            id=self.id,
            model=self.model,
            content=content,
            usage=usage,
            stop_reason=reason,
            stop_sequence=sequence,
            dropped_messages=final.dropped_messages or msgspec.UNSET,
        )

    def _begin(self, prompt_tokens: int) -> Iterator[bytes]:
        self._is_begun = True
        message = Message(id=self.id, model=self.model, content=[], usage=Usage(prompt_tokens, 0))
        yield _event("message_start", {"message": message})
        yield PING_EVENT

    def _write(self, delta: CallDelta) -> Iterator[bytes]:
        if delta.index not in self._begun_calls:
            self._begun_calls.add(delta.index)
            yield from self._close()
            yield from self._switch("tool_use", ToolUseBlock(delta.id, delta.name, {}))
        yield self._delta({"type": "input_json_delta", "partial_json": delta.arguments})

    def _switch(self, kind: str, block: Block) -> Iterator[bytes]:
        if self._open == kind:
            return
        yield from self._close()
        self._open = kind
        self._index += 1
        yield _event("content_block_start", {"index": self._index, "content_block": block})

    def _close(self) -> Iterator[bytes]:
        if not self._open:
            return
        if self._open == "thinking":
            yield self._delta({"type": "signature_delta", "signature": SIGNATURE})
        self._open = ""
        yield _event("content_block_stop", {"index": self._index})

    def _delta(self, delta: Mapping[str, Json]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _end(self, final: Final) -> Iterator[bytes]:
        reason, sequence = self._reason(final, has_calls=self._has_calls)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        usage = Usage(final.prompt_tokens, final.completion_tokens)
        dropped = {"dropped_messages": final.dropped_messages} if final.dropped_messages else {}
        yield _event("message_delta", {"delta": delta, "usage": usage, **dropped})
        yield _event("message_stop", {})

    def _reason(self, final: Final, *, has_calls: bool) -> tuple[str, str | None]:
        if final.finish_reason == "length":
            return "max_tokens", None
        if has_calls:
            return "tool_use", None
        if final.stop_sequence is not None and final.stop_sequence in self.stop_sequences:
            return "stop_sequence", final.stop_sequence
        return "end_turn", None


def model_entry(record: ModelRecord, shown_id: str = "") -> Model:
    """Return a stored model as Anthropic lists it, under the name that was asked for if one was."""
    return Model(shown_id or record.name, record.name, record.modified_at)


def model_list(records: Sequence[ModelRecord]) -> ModelList:
    """Return all stored models as Anthropic lists them."""
    data = [model_entry(record) for record in records]
    return ModelList(data, data[0].id if data else None, data[-1].id if data else None)


def error_body(message: str, status: int, request_id: str = "") -> ErrorBody:
    """Return the error object of all Anthropic routes."""
    kind = ERROR_TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")
    return ErrorBody(Error(kind, message), request_id or None)


def error_event(message: str, status: int, request_id: str = "") -> bytes:
    """Return an error as the last event of a stream that has begun."""
    return b"event: error\ndata: " + _encode(error_body(message, status, request_id)) + b"\n\n"


def encode(record: msgspec.Struct) -> bytes:
    """Return the record as JSON."""
    return _encode(record)


def _event(name: str, fields: Mapping[str, Json]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode({"type": name, **fields}) + b"\n\n"
