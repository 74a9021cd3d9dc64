"""The answers of Ollama's own API, as records that the daemon encodes and the client decodes.

Fields without a default are always on the wire, the others only where they differ from it. Durations are integer
nanoseconds and times are RFC 3339 text, as Ollama writes them.
Source: Ollama's `api/types.go` (release 0.33).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from ollamapy.errors import (
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    OllamapyError,
    RegistryError,
    RunnerError,
    ServiceError,
    StoreError,
)
from ollamapy.types import Chunk, Final, Json, Message, Progress, TokenLogprob, ToolCall

FOREVER_SECONDS = 292 * 365 * 86400  # how far ahead Ollama puts the end of a model that stays for good
NANOSECONDS = 1_000_000_000
ERROR_KINDS: Mapping[str, type[OllamapyError]] = {
    "invalid": InvalidInputError,
    "forbidden": ForbiddenError,
    "not_found": NotFoundError,
    "store": StoreError,
    "registry": RegistryError,
    "capacity": CapacityError,
    "runner": RunnerError,
    "service": ServiceError,
}
"""What went wrong, where the status does not tell: words that the daemon writes and the client reads."""
UpdateState = Literal["current", "newer", "absent", "local"]
"""What a registry has of a model that is here: the same, another version, nothing; it was not asked for a local one."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all records: what equals its default is left out."""


class VersionRecord(Record, frozen=True, kw_only=True):
    """GET /api/version. `version` is the level of Ollama's API, the other two are ours."""

    version: str
    name: str = ""
    ollamapy_version: str = ""


class HealthRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """GET /health."""

    status: str = "ok"


class ReadyRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """GET /ready. `status` is `ready`, or `unready` for the reason that is told."""

    status: str
    reason: str = ""


class EstimateDeviceRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Memory that a model may go into, in bytes: how much there is, is free, and would be taken."""

    name: str
    total: int
    free: int
    needed: int


class EstimateRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """POST /api/estimate. Sizes are bytes, those of `devices` where the model would go now.

    `cache` holds `kv_cells` tokens, those of all requests together; `companions` are projector, adapters, draft model.
    """

    model: str
    stored: bool
    fits: bool
    reason: str
    context_length: int
    kv_cells: int
    gpu_layers: int
    layers: int
    size: int
    weights: int
    cache: int
    buffers: int
    companions: int
    devices: list[EstimateDeviceRecord]


class ErrorRecord(Record, frozen=True, kw_only=True):
    """A failed request, or the last line of a stream that failed; `kind` is ours, a word of `ERROR_KINDS`."""

    error: str
    kind: str = ""


class DetailsRecord(Record, frozen=True, kw_only=True):
    """What a model is made of; `context_length` and `embedding_length` appear in listings."""

    parent_model: str
    format: str
    family: str
    families: list[str] | None
    parameter_size: str
    quantization_level: str
    context_length: int = 0
    embedding_length: int = 0


class ModelRecord(Record, frozen=True, kw_only=True):
    """One model of /api/tags; `digest` is bare hex, `size` bytes."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: DetailsRecord
    capabilities: list[str] = []


class ListRecord(Record, frozen=True, kw_only=True):
    """GET /api/tags."""

    models: list[ModelRecord]


class LoadedRecord(Record, frozen=True, kw_only=True):
    """One model of /api/ps. Sizes are bytes; `kv_cells` are shared by all requests, `context_length` bounds one.

    `progress` goes from 0 to 1 while the model loads, `reason` says why it is in memory, or on its way out.
    """

    name: str
    model: str
    size: int
    digest: str
    details: DetailsRecord
    expires_at: str
    size_vram: int
    context_length: int
    kv_cells: int = 0
    active_requests: int = 0
    queued_requests: int = 0  # of those
    draft_tokens: int = 0
    accepted_tokens: int = 0
    state: str = ""
    progress: float = 0.0
    reason: str = ""


class WaitingRecord(Record, frozen=True, kw_only=True):
    """A request of /api/ps that has no model yet, for how long and why."""

    model: str
    seconds: float
    reason: str


class LoadedListRecord(Record, frozen=True, kw_only=True):
    """GET /api/ps."""

    models: list[LoadedRecord]
    waiting: list[WaitingRecord] = []


class FunctionRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The call inside a tool call."""

    name: str
    arguments: dict[str, Json]
    index: int = 0


class ToolCallRecord(Record, frozen=True, kw_only=True):
    """A tool call of an assistant's message."""

    function: FunctionRecord
    id: str = ""


class MessageRecord(Record, frozen=True, kw_only=True):
    """One turn of a chat; images are base64 text."""

    role: str
    content: str
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[ToolCallRecord] = []
    tool_name: str = ""
    tool_call_id: str = ""


class TensorRecord(Record, frozen=True, kw_only=True):
    """One tensor of /api/show."""

    name: str
    type: str
    shape: list[int]


class ShowRecord(Record, frozen=True, kw_only=True):
    """POST /api/show."""

    details: DetailsRecord
    model_info: dict[str, Json]
    modified_at: str
    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""
    messages: list[MessageRecord] = []
    projector_info: dict[str, Json] = {}
    tensors: list[TensorRecord] = []
    capabilities: list[str] = []
    requires: str = ""


class ProgressRecord(Record, frozen=True, kw_only=True):
    """One line of a create, pull or push; counts are bytes."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""
    kind: str = ""


class UnusedRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One blob that nobody needs; `kind` is `blob` or `partial`, `size` bytes."""

    digest: str
    size: int
    kind: str


class PruneRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """POST /api/prune: what was removed, or would be."""

    unused: list[UnusedRecord]


class UpdateRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """POST /api/update: a model beside what its registry has."""

    model: str
    digest: str
    state: UpdateState


class LogprobRecord(Record, frozen=True, kw_only=True):
    """One token with its log probability; `bytes` are the token's own, in UTF-8."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[LogprobRecord] = []


class MetricsRecord(Record, frozen=True, kw_only=True):
    """The last object of an answer; counts are tokens, durations nanoseconds. From `cached_tokens` on they are ours."""

    done_reason: str = ""
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    cached_tokens: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    dropped_messages: int = 0
    num_ctx: int = 0


class DebugRecord(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The prompt that would have been sent to the model."""

    rendered_template: str
    image_count: int = 0


class ChatRecord(MetricsRecord, frozen=True, kw_only=True):
    """One object of /api/chat."""

    model: str
    created_at: str
    message: MessageRecord
    done: bool
    logprobs: list[LogprobRecord] = []
    debug_info: DebugRecord | None = msgspec.field(name="_debug_info", default=None)


class GenerateRecord(MetricsRecord, frozen=True, kw_only=True):
    """One object of /api/generate."""

    model: str
    created_at: str
    response: str
    done: bool
    thinking: str = ""
    tool_calls: list[ToolCallRecord] = []
    context: list[int] = []
    logprobs: list[LogprobRecord] = []
    debug_info: DebugRecord | None = msgspec.field(name="_debug_info", default=None)


class PromptRecord(Record, frozen=True, kw_only=True):
    """POST /api/render."""

    model: str
    prompt: str


class TokensRecord(Record, frozen=True, kw_only=True):
    """POST /api/tokenize."""

    model: str
    tokens: list[int]


class TextRecord(Record, frozen=True, kw_only=True):
    """POST /api/detokenize."""

    model: str
    content: str


_encoder = msgspec.json.Encoder()


def error_kind(error: OllamapyError) -> str:
    """Return the word of `ERROR_KINDS` for an error; "" where it has none."""
    return next((word for word, kind in ERROR_KINDS.items() if isinstance(error, kind)), "")


def encode(record: Record) -> bytes:
    """Return the record as JSON."""
    return _encoder.encode(record)


def encode_line(record: Record) -> bytes:
    """Return the record as one line of an NDJSON stream."""
    return _encoder.encode(record) + b"\n"


def utc_now() -> str:
    """Return the present as `created_at` has it: UTC with six digits of the second."""
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06d}Z"


def local_time(epoch_seconds: float) -> str:
    """Return a moment as `modified_at` and `expires_at` have it, in local time; infinity is 292 years ahead."""
    if math.isinf(epoch_seconds):
        return (datetime.now(UTC) + timedelta(seconds=FOREVER_SECONDS)).astimezone().isoformat()
    return datetime.fromtimestamp(epoch_seconds, UTC).astimezone().isoformat(timespec="microseconds")


def chat_record(model: str, chunk: Chunk, created_at: str) -> ChatRecord:
    """Return a piece of a chat's answer as Ollama writes it."""
    if chunk.rendered is not None:
        debug = DebugRecord(rendered_template=chunk.rendered)
        empty = MessageRecord(role="assistant", content="")
        return ChatRecord(model=model, created_at=created_at, message=empty, done=False, debug_info=debug)
    message = MessageRecord(
        role="assistant", content=chunk.content, thinking=chunk.thinking, tool_calls=_tool_calls(chunk.tool_calls)
    )
    logprobs = _logprobs(chunk.logprobs)
    final = chunk.final
    if final is None:
        return ChatRecord(model=model, created_at=created_at, message=message, done=False, logprobs=logprobs)
    metrics = _metrics(final)
    return ChatRecord(model=model, created_at=created_at, message=message, done=True, logprobs=logprobs, **metrics)


def generate_record(model: str, chunk: Chunk, created_at: str) -> GenerateRecord:
    """Return a piece of a generated text as Ollama writes it."""
    final, text = chunk.final, chunk.content
    if chunk.rendered is not None:
        debug = DebugRecord(rendered_template=chunk.rendered)
        return GenerateRecord(model=model, created_at=created_at, response="", done=False, debug_info=debug)
    return GenerateRecord(
        model=model,
        created_at=created_at,
        response=text,
        thinking=chunk.thinking,
        tool_calls=_tool_calls(chunk.tool_calls),
        logprobs=_logprobs(chunk.logprobs),
        done=final is not None,
        context=list(final.context or ()) if final else [],
        **(_metrics(final) if final else {}),
    )


def progress_record(progress: Progress) -> ProgressRecord:
    """Return a step of a long action as Ollama writes it."""
    return ProgressRecord(
        status=progress.status, digest=progress.digest, total=progress.total_bytes, completed=progress.completed_bytes
    )


def message_record(message: Message) -> MessageRecord:
    """Return a model's own example turn as /api/show prints it."""
    return MessageRecord(role=message.role, content=message.content)


def _metrics(final: Final) -> dict[str, Json]:
    return {
        "done_reason": final.finish_reason,
        "total_duration": round(final.total_seconds * NANOSECONDS),
        "load_duration": round(final.load_seconds * NANOSECONDS),
        "prompt_eval_count": final.prompt_tokens,
        "prompt_eval_duration": round(final.prompt_seconds * NANOSECONDS),
        "eval_count": final.completion_tokens,
        "eval_duration": round(final.completion_seconds * NANOSECONDS),
        "cached_tokens": final.cached_tokens,
        "draft_tokens": final.draft_tokens,
        "accepted_tokens": final.accepted_tokens,
        "dropped_messages": final.dropped_messages,
        "num_ctx": final.num_ctx,
    }


def _tool_calls(calls: tuple[ToolCall, ...]) -> list[ToolCallRecord]:
    return [
        ToolCallRecord(
            id=call.id, function=FunctionRecord(name=call.name, arguments=dict(call.arguments), index=call.index)
        )
        for call in calls
    ]


def _logprobs(logprobs: tuple[TokenLogprob, ...]) -> list[LogprobRecord]:
    return [
        LogprobRecord(token=p.token, logprob=p.logprob, bytes=list(p.bytes), top_logprobs=_logprobs(p.top))
        for p in logprobs
    ]
