"""The HTTP status of every error, and the shape in which each API tells it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
from starlette.responses import Response

from ollamapy.dialects import anthropic, native, openai
from ollamapy.errors import (
    CapacityError,
    ContextLengthError,
    DigestMismatchError,
    DiskFullError,
    ForbiddenError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    OllamapyError,
    QueueFullError,
    RegistryError,
    RunnerError,
    ServiceError,
    StoreError,
    TooLargeError,
    WorkerTimeoutError,
)

STATUS: dict[type[OllamapyError], int] = {
    OllamapyError: 500,
    InvalidInputError: 400,
    TooLargeError: 413,
    ForbiddenError: 403,
    NotFoundError: 404,
    StoreError: 500,
    DigestMismatchError: 400,
    RegistryError: 502,
    CapacityError: 503,
    DiskFullError: 507,
    RunnerError: 500,
    WorkerTimeoutError: 504,
    ServiceError: 503,
}
CODES: dict[type[OllamapyError], str] = {
    ContextLengthError: "context_length_exceeded",
    ModelNotFoundError: "model_not_found",
    QueueFullError: "server_busy",
}
RETRY_SECONDS = 1.0  # where an error does not know better
INTERNAL_TEXT = "internal error; the daemon's log tells more"
NESTED_TEXT = "invalid JSON: the request body is nested too deeply"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client is told of it; `code` is OpenAI's word for it, `kind` our own API's."""

    status: int
    message: str
    code: str | None = None
    retry_after_seconds: float = RETRY_SECONDS
    kind: str = ""


def failure_of(exc: BaseException) -> Failure:
    """Return what a client is told of an error; nothing of an unexpected one, whose text may hold anything."""
    if isinstance(exc, RecursionError):
        return Failure(400, NESTED_TEXT)
    if not isinstance(exc, OllamapyError):
        return Failure(500, INTERNAL_TEXT)
    lineage = type(exc).__mro__
    status = next(STATUS[kind] for kind in lineage if kind in STATUS)
    code = next((CODES[kind] for kind in lineage if kind in CODES), None)
    pause = exc.retry_after_seconds if isinstance(exc, CapacityError) else RETRY_SECONDS
    return Failure(status, exc.message, code, pause, native.error_kind(exc))


def is_openai(path: str) -> bool:
    """Return whether a path belongs to OpenAI's API, whose errors have another shape."""
    return path.startswith("/v1/")


def is_anthropic(path: str) -> bool:
    """Return whether a path belongs to Anthropic's API, which shares a prefix with OpenAI's."""
    return path == "/v1/messages" or path.startswith("/v1/messages/")


def error_body(failure: Failure, path: str, request_id: str = "") -> bytes:
    """Return the body of a failed request in the shape of the API that the path belongs to."""
    if is_anthropic(path):
        return msgspec.json.encode(anthropic.error_body(failure.message, failure.status, request_id))
    if is_openai(path):
        return msgspec.json.encode(openai.error_body(failure.message, failure.status, failure.code))
    kind = failure.kind if failure.status >= 500 else ""  # a lower status says as much
    return native.encode(native.ErrorRecord(error=failure.message, kind=kind))


def error_response(failure: Failure, path: str, request_id: str = "") -> Response:
    """Return a failed request's response."""
    headers = {}
    if failure.status == 503:
        headers["retry-after"] = str(math.ceil(failure.retry_after_seconds))
    if failure.status == 401:
        headers["www-authenticate"] = "Bearer"
    media_type = "application/json" if is_openai(path) else "application/json; charset=utf-8"
    return Response(error_body(failure, path, request_id), failure.status, headers, media_type)
