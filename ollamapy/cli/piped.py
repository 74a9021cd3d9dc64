"""Reads what is piped into a command."""

from __future__ import annotations

import os
import select
import sys

from ollamapy.errors import InvalidInputError, TooLargeError

CHUNK_BYTES = 1 << 20
SIGNAL_CHECK_S = 0.5


def read_input(limit_bytes: int) -> bytes:
    """Return all of standard input, whatever that is.

    A blocked read is not interrupted by a signal that came just before it, so nothing is read before there is
    something, and signals are looked for in between.

    Raises TooLargeError as soon as it is beyond the limit, InvalidInputError where it can't be read.
    """
    source = sys.stdin.fileno()
    content = bytearray()
    while True:
        while not select.select([source], [], [], SIGNAL_CHECK_S)[0]:
            pass
        try:
            chunk = os.read(source, CHUNK_BYTES)
        except BlockingIOError:  # another reader was faster
            continue
        except OSError as exc:
            raise InvalidInputError(f"can't read standard input: {os.strerror(exc.errno or 0)}") from exc
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > limit_bytes:
            raise TooLargeError(
                f"standard input is larger than {limit_bytes} bytes; send less, or raise OLLAMAPY_MAX_BODY, "
                "for the daemon too"
            )
