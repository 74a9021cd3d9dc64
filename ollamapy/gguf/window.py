"""Reading forward through the head of a file: bounded, through a buffer that moves, never by a memory map.

A file that another process truncates gives a short read here, where a memory map would kill the process.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Self

from ollamapy.errors import InvalidFileError

CHUNK_BYTES = 1 << 20
MAX_HEADER_BYTES = 128 << 20
MAX_STRING_BYTES = 16 << 20

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
# One string of 0 to 255 bytes with its length in front, the usual lengths first; 256 of them are skipped by one match.
_LENGTHS = (*range(4, 24), 3, 2, 1, 0, *range(24, 256))
_STRING = b"|".join(re.escape(bytes([length])) + b"\\0{7}.{%d}" % length for length in _LENGTHS)
_STRINGS_PER_MATCH = 256
_LONGEST_MATCH = _STRINGS_PER_MATCH * (8 + 255)
_SKIP_STRINGS = re.compile(b"(?s:%b){%d}+" % (_STRING, _STRINGS_PER_MATCH))
_OVERLAP = 256


class Window:
    """A position in a regular file, and the bytes around it."""

    def __init__(self, path: Path) -> None:
        try:  # O_NONBLOCK: opening a FIFO must not wait for a writer
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise InvalidFileError(f"can't open the GGUF file: {exc.strerror}") from exc
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise InvalidFileError("not a GGUF file: it is no regular file")
        self.size = status.st_size
        self.stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        self._base = self._at = 0
        self._bytes = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    @property
    def position(self) -> int:
        """Offset in the file of the next byte to be read."""
        return self._base + self._at

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the file."""
        return self.size - self.position

    def seek(self, position: int) -> None:
        """Move to an absolute offset."""
        if self._base <= position <= self._base + len(self._bytes):
            self._at = position - self._base
        else:
            self._base, self._at, self._bytes = position, 0, b""

    def skip(self, count: int) -> None:
        """Move forward; raises InvalidFileError where the file ends before."""
        if count > self.remaining:
            raise InvalidFileError(_truncated(self.position, self.size))
        self.seek(self.position + count)

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        self._need(count)
        start = self._at
        self._at += count
        return self._bytes[start : self._at]

    def u32(self) -> int:
        """Return the next unsigned 32-bit number."""
        self._need(4)
        self._at += 4
        return int(_U32.unpack_from(self._bytes, self._at - 4)[0])

    def u64(self) -> int:
        """Return the next unsigned 64-bit number."""
        self._need(8)
        self._at += 8
        return int(_U64.unpack_from(self._bytes, self._at - 8)[0])

    def string_bytes(self, limit: int = MAX_STRING_BYTES) -> bytes:
        """Return the next string, which has its length in front."""
        length = self.u64()
        if length > limit:
            raise InvalidFileError(f"malformed GGUF: a string of {length} bytes where at most {limit} are allowed")
        return self.read(length)

    def skip_strings(self, count: int) -> None:
        """Walk over that many strings."""
        match = _SKIP_STRINGS.match
        while count >= _STRINGS_PER_MATCH:
            self._fill(_LONGEST_MATCH)
            found = match(self._bytes, self._at)
            if found is None:
                self._step_over_strings(_STRINGS_PER_MATCH)
            else:
                self._at = found.end()
            count -= _STRINGS_PER_MATCH
        self._step_over_strings(count)

    def _step_over_strings(self, count: int) -> None:
        for _ in repeat(None, count):
            data, at = self._bytes, self._at + 8
            if at <= len(data) and (end := at + _U64.unpack_from(data, at - 8)[0]) <= len(data):
                self._at = end
                continue
            length = self.u64()
            if length > MAX_STRING_BYTES:
                raise InvalidFileError(f"malformed GGUF: a token of {length} bytes")
            self.skip(length)

    def find(self, needles: tuple[bytes, ...], end: int) -> int | None:
        """Return where the first of the needles begins between here and `end`, leaving the position there, or None."""
        while self.position < min(end, self.size):
            self._fill(2 * _OVERLAP)
            hits = [hit for needle in needles if (hit := self._bytes.find(needle, self._at)) >= 0]
            if hits:
                self._at = min(hits)
                return self.position
            if self._base + len(self._bytes) >= self.size:
                return None
            self._at = len(self._bytes) - _OVERLAP
        return None

    def _need(self, count: int) -> None:
        """Have that many bytes at hand."""
        if len(self._bytes) - self._at < count:
            if count > self.remaining:
                raise InvalidFileError(_truncated(self.position, self.size))
            self._fill(count)

    def _fill(self, count: int) -> None:
        """Have that many bytes at hand, or all that the file has left; the ones just passed stay."""
        position = self.position
        if len(self._bytes) - self._at >= count or self._base + len(self._bytes) >= self.size:
            return
        if position + count > MAX_HEADER_BYTES and self.size > MAX_HEADER_BYTES:
            raise InvalidFileError(f"malformed GGUF: its header is larger than {MAX_HEADER_BYTES >> 20} MiB")
        base = max(position - _OVERLAP, 0)
        wanted = min(position - base + max(count, CHUNK_BYTES), self.size - base)
        data = os.pread(self._fd, wanted, base)
        if len(data) < wanted:
            raise InvalidFileError("the GGUF file became shorter while it was read; write it again")
        self._base, self._at, self._bytes = base, position - base, data


def _truncated(position: int, size: int) -> str:
    return f"truncated GGUF: its header goes on behind byte {position}, but the file has {size} bytes; get it again"
