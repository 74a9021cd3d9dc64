"""Reads what is piped into a command."""

from __future__ import annotations

import sys

from ollamapy.errors import TooLargeError

CHUNK_BYTES = 1 << 20


def read_input(limit_bytes: int) -> bytes:
    """Return all of standard input, whatever that is; raises TooLargeError as soon as it is beyond the limit.

    It comes in chunks because one read of all can't be interrupted while more keeps coming.
    """
    chunks = []
    size_bytes = 0
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        chunks.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise TooLargeError(
                f"standard input is larger than {limit_bytes} bytes; send less, or raise OLLAMAPY_MAX_BODY, "
                "for the daemon too"
            )
    return b"".join(chunks)
