"""The answers of OpenAI's API: whole completions, server-sent events, model lists and errors.

Source: OpenAI's API reference, and Ollama's `openai/openai.go` (release 0.33).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ollamapy.dialects.chunks import split_calls
from ollamapy.dialects.native import ModelRecord
from ollamapy.types import CallDelta, Chunk, Final, TokenLogprob, ToolCall

FINGERPRINT = "fp_ollama"
DONE_EVENT = b"data: [DONE]\n\n"
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
}

_encode = msgspec.json.Encoder().encode


class Function(msgspec.Struct, frozen=True):
    """The call inside a tool call; `arguments` is JSON text."""

    name: str
    arguments: str


class Call(msgspec.Struct, frozen=True):
    """One tool call, complete."""

    id: str
    index: int
    function: Function
    type: str = "function"


class FunctionPiece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of the call inside a tool call."""

    arguments: str
    name: str | None = None


class CallPiece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a tool call; the first one has the id, the type and the name."""

    index: int
    function: FunctionPiece
    id: str | None = None
    type: str | None = None


class TopLogprob(msgspec.Struct, frozen=True):
    """An alternative to a token."""

    token: str
    logprob: float
    bytes: list[int]


class Logprob(msgspec.Struct, frozen=True):
    """One token with its log probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class Logprobs(msgspec.Struct, frozen=True):
    """The tokens of a choice."""

    content: list[Logprob]


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an event adds to the message."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallPiece] | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole answer."""

    role: str
    content: str
    reasoning: str = ""
    reasoning_content: str = ""
    tool_calls: list[Call] = []


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One whole answer of several."""

    index: int
    message: Message
    finish_reason: str | None
    logprobs: Logprobs | None = None


class ChunkChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an event adds to one answer of several."""

    index: int
    delta: Delta
    finish_reason: str | None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """How much of a prompt was not computed again."""

    cached_tokens: int


class CompletionDetails(msgspec.Struct, frozen=True):
    """How many tokens were guessed ahead, and came true or did not."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(msgspec.Struct, frozen=True):
    """Token counts of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class ChatCompletion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole answer with its choice."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    dropped_messages: int = 0


class ChatCompletionChunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of a stream."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    dropped_messages: int = 0


class Model(msgspec.Struct, frozen=True):
    """One model of /v1/models; `created` is epoch seconds."""

    id: str
    created: int
    object: str = "model"
    owned_by: str = "library"


class ModelList(msgspec.Struct, frozen=True):
    """GET /v1/models."""

    data: list[Model]
    object: str = "list"


class Error(msgspec.Struct, frozen=True):
    """What went wrong; `code` is OpenAI's word for it, if it has one."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """A failed request, or the last event of a stream that failed."""

    error: Error


@dataclass(slots=True)
class EventWriter:
    """Turns the pieces of `n` answers into server-sent events, in order; `created` is epoch seconds."""

    id: str
    model: str
    created: int
    include_usage: bool = False
    n: int = 1
    _begun: set[int] = field(default_factory=set, init=False)
    _with_calls: set[int] = field(default_factory=set, init=False)
    _begun_calls: dict[int, set[int]] = field(default_factory=dict, init=False)
    _finals: dict[int, Final] = field(default_factory=dict, init=False)

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the events of one piece; the last piece ends the stream."""
        index, logprobs = chunk.index, _logprobs(chunk.logprobs)
        if chunk.thinking:
            delta = Delta(self._take_role(index), "", chunk.thinking, chunk.thinking)
            yield self._event(index, delta, None, logprobs)
            logprobs = None
        calls = self._calls(chunk) or None
        if chunk.content or calls or logprobs or (chunk.rendered is not None):
            text = chunk.content if chunk.rendered is None else chunk.rendered
            yield self._event(index, Delta(self._take_role(index), text, tool_calls=calls), None, logprobs)
        if chunk.final is not None:
            yield from self._end(index, chunk.final)
        elif chunk.rendered is not None:
            yield DONE_EVENT

    def _calls(self, chunk: Chunk) -> list[CallPiece]:
        if chunk.tool_calls:
            self._with_calls.add(chunk.index)
        begun = self._begun_calls.setdefault(chunk.index, set())
        pieces: list[CallPiece] = []
        for delta in itertools.chain.from_iterable(split_calls(chunk, begun)):
            pieces.append(_call_piece(delta, is_first=delta.index not in begun))
            begun.add(delta.index)
        return pieces

    def _end(self, index: int, final: Final) -> Iterator[bytes]:
        reason = finish_reason(final, has_calls=index in self._with_calls)
        yield self._event(index, Delta(self._take_role(index)), reason, None, final.dropped_messages)
        self._finals[index] = final
        if len(self._finals) < self.n:
            return
        if self.include_usage:
            used = total_usage([self._finals[number] for number in sorted(self._finals)])
            yield _sse(
                ChatCompletionChunk(self.id, "chat.completion.chunk", self.created, self.model, FINGERPRINT, [], used)
            )
        yield DONE_EVENT

    def _event(
        self, index: int, delta: Delta, reason: str | None, logprobs: Logprobs | None, dropped: int = 0
    ) -> bytes:
        choice = ChunkChoice(index, delta, reason, logprobs)
        kind = "chat.completion.chunk"
        return _sse(ChatCompletionChunk(self.id, kind, self.created, self.model, FINGERPRINT, [choice], None, dropped))

    def _take_role(self, index: int) -> str | None:
        if index in self._begun:
            return None
        self._begun.add(index)
        return "assistant"


def completion(answer_id: str, model: str, created: int, answers: Sequence[Chunk]) -> ChatCompletion:
    """Return a whole completion, each chunk being all pieces of one answer; `created` is epoch seconds."""
    finals = [answer.final or Final("stop") for answer in answers]
    choices = [_finished(answer, final) for answer, final in zip(answers, finals, strict=True)]
    dropped = finals[0].dropped_messages
    used = total_usage(finals)
    return ChatCompletion(answer_id, "chat.completion", created, model, FINGERPRINT, choices, used, dropped)


def _finished(answer: Chunk, final: Final) -> Choice:
    calls = [_call(call) for call in answer.tool_calls]
    text = answer.content if answer.rendered is None else answer.rendered
    message = Message("assistant", text, answer.thinking, answer.thinking, calls)
    reason = finish_reason(final, has_calls=bool(calls))
    return Choice(answer.index, message, reason, _logprobs(answer.logprobs))


def finish_reason(final: Final, *, has_calls: bool) -> str:
    """Return OpenAI's word for how an answer ended."""
    return "tool_calls" if final.finish_reason == "stop" and has_calls else final.finish_reason


def total_usage(finals: Sequence[Final], each: int = 0) -> Usage:
    """Return the token counts of several answers; a prompt counts once for its `each` answers, 0 being all."""
    prompts = finals[:: each or len(finals)]
    prompt_tokens = sum(final.prompt_tokens for final in prompts)
    completion_tokens = sum(final.completion_tokens for final in finals)
    accepted = sum(final.accepted_tokens for final in finals)
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=PromptDetails(sum(final.cached_tokens for final in prompts)),
        completion_tokens_details=CompletionDetails(accepted, sum(final.draft_tokens for final in finals) - accepted),
    )


def model_entry(record: ModelRecord, created: int, shown_id: str = "") -> Model:
    """Return a stored model as OpenAI lists it, under the name that was asked for if one was."""
    return Model(id=shown_id or record.name, created=created)


def encode(record: msgspec.Struct) -> bytes:
    """Return the record as JSON."""
    return _encode(record)


def error_body(message: str, status: int, code: str | None = None) -> ErrorBody:
    """Return the error object of all OpenAI routes."""
    return ErrorBody(Error(message, ERROR_TYPES.get(status, "api_error"), code=code))


def error_event(message: str, status: int, code: str | None = None) -> bytes:
    """Return an error as the last event of a stream that has begun."""
    return b"data: " + _encode(error_body(message, status, code)) + b"\n\n"


def _sse(record: msgspec.Struct) -> bytes:
    return b"data: " + _encode(record) + b"\n\n"


def _call(call: ToolCall) -> Call:
    arguments = _encode(call.arguments).decode()
    return Call(id=call.id, index=call.index, function=Function(call.name, arguments))


def _call_piece(delta: CallDelta, *, is_first: bool) -> CallPiece:
    if is_first:
        return CallPiece(delta.index, FunctionPiece(delta.arguments, delta.name), delta.id, "function")
    return CallPiece(delta.index, FunctionPiece(delta.arguments))


def _logprobs(logprobs: tuple[TokenLogprob, ...]) -> Logprobs | None:
    if not logprobs:
        return None
    return Logprobs(
        [
            Logprob(p.token, p.logprob, list(p.bytes), [TopLogprob(t.token, t.logprob, list(t.bytes)) for t in p.top])
            for p in logprobs
        ]
    )
