"""From the bytes of an answer to its records: pure, no HTTP library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from ollamapy.client.calls import Call
from ollamapy.client.failures import stream_failure
from ollamapy.dialects.native import ErrorRecord, ProgressRecord, Record
from ollamapy.errors import ServiceError

R = TypeVar("R", bound=Record)


def decode(body: bytes, record: type[R], call: Call) -> R:
    """Return the record; raises the error that the server wrote in its place, or ServiceError for anything else."""
    try:
        answer = msgspec.json.decode(body, type=record)
    except msgspec.DecodeError as exc:
        raise _error_in(body, call) from exc
    if isinstance(answer, ProgressRecord) and answer.error:
        raise stream_failure(answer.error, answer.kind, call)
    return answer


class Lines:
    """Cuts a stream of bytes into lines, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that this piece completes, without blank ones."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return (line for line in lines if line.strip())

    def end(self) -> Iterator[bytes]:
        """Yield what stood behind the last newline."""
        return self.feed(b"\n")


def _error_in(body: bytes, call: Call) -> Exception:
    try:
        failed = msgspec.json.decode(body, type=ErrorRecord)
    except msgspec.DecodeError:
        return ServiceError(f"the answer to {call.method} {call.path} is not what Ollama's API says: {body[:80]!r}")
    return stream_failure(failed.error, failed.kind, call)
