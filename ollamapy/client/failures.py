"""What a client makes of refused connections, HTTP statuses and error bodies: pure, no HTTP library."""

from __future__ import annotations

from typing import Literal

import msgspec

from ollamapy.client.calls import Call
from ollamapy.dialects.native import ERROR_KINDS, ErrorRecord, VersionRecord
from ollamapy.errors import (
    BlobNotFoundError,
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    OllamapyError,
    RunnerError,
    ServiceError,
)

Presence = Literal["running", "absent", "foreign"]
"""Who answers at an address: a server of this API, nobody, or something else."""

_INFERENCE_PATHS = ("/api/chat", "/api/generate", "/api/embed", "/api/rerank")


def failure(status: int, body: bytes, call: Call) -> OllamapyError:
    """Return the error that a status of 400 and above stands for, in the server's words where it said something."""
    record = _record(body)
    said = record.error if record else None
    if status == 404 and call.path.startswith("/api/blobs/"):
        return BlobNotFoundError(said or f"blob {call.subject} not found")
    if status == 404 and said and call.subject:
        return ModelNotFoundError(call.subject, said)
    if status in (404, 405) and said is None:
        return NotFoundError(f"the server does not know {call.method} {call.path}; is it an older or another program?")
    kind = ERROR_KINDS.get(record.kind) if record else None
    raised = kind or _kind(status, call)
    return raised(said or f"the server refused {call.method} {call.path} with HTTP status {status}")


def stream_failure(message: str, kind: str, call: Call) -> OllamapyError:
    """Return the error that a stream ended with, after its status had been sent; Ollama's have no kind."""
    usual = RunnerError if call.path in _INFERENCE_PATHS else ServiceError
    return ERROR_KINDS.get(kind, usual)(message)


def presence(status: int, body: bytes) -> Presence:
    """Tell who answered a request for the version; a server that asks for a key counts as running."""
    if status in (401, 403):
        return "running"
    try:
        msgspec.json.decode(body, type=VersionRecord)
    except msgspec.DecodeError:
        return "foreign"
    return "running" if status == 200 else "foreign"


def unreachable(base_url: str) -> ServiceError:
    """Return the error for a server that nobody could connect to."""
    return ServiceError(f"could not connect to {base_url}; is `ollamapy serve` running there?")


def interrupted(base_url: str) -> ServiceError:
    """Return the error for a connection that broke or went silent before the answer was complete."""
    return ServiceError(f"lost the connection to {base_url} before the answer was complete; try again")


def foreign(base_url: str) -> ServiceError:
    """Return the error for an address where another program answers."""
    return ServiceError(
        f"something listens at {base_url} but does not speak Ollama's API; "
        "stop it, or set OLLAMA_HOST to another address such as 127.0.0.1:11500"
    )


def _kind(status: int, call: Call) -> type[OllamapyError]:
    if status in (401, 403):
        return ForbiddenError
    if status == 404:
        return NotFoundError
    if status in (429, 503, 507):
        return CapacityError
    if status < 500:
        return InvalidInputError
    return RunnerError if call.path in _INFERENCE_PATHS else ServiceError


def _record(body: bytes) -> ErrorRecord | None:
    try:
        return msgspec.json.decode(body, type=ErrorRecord)
    except msgspec.DecodeError:
        return None
