"""Cutting a worker's byte stream into frames."""

from __future__ import annotations

from ollamapy.errors import RunnerError
from ollamapy.wire import HEADER

# Far above any real answer, and below the number that four bytes of printable text in place of a length would make.
MAX_ANSWER_BYTES = 64 << 20


class FrameSplitter:
    """Collects bytes as they come and hands out the bodies of whole frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that `data` completes; raises RunnerError for a length that no worker sends."""
        self._pending += data
        bodies: list[bytes] = []
        start = 0
        while (end := self._end_of_frame(start)) is not None:
            bodies.append(bytes(self._pending[start + HEADER.size : end]))
            start = end
        del self._pending[:start]
        return bodies

    def _end_of_frame(self, start: int) -> int | None:
        if len(self._pending) - start < HEADER.size:
            return None
        (size,) = HEADER.unpack_from(self._pending, start)
        if size > MAX_ANSWER_BYTES:
            raise RunnerError(f"a message of {size} bytes was announced")
        end = start + HEADER.size + int(size)
        return end if end <= len(self._pending) else None
