"""Reads what is piped into a command."""

from __future__ import annotations

import os
import select
import sys

from ollamapy.errors import TooLargeError

CHUNK_BYTES = 1 << 20
SIGNAL_CHECK_S = 0.5


def read_input(limit_bytes: int) -> bytes:
    """Return all of standard input, whatever that is; raises TooLargeError as soon as it is beyond the limit.

    A blocked read is not interrupted by a signal that came just before it, so nothing is read before there is
    something, and signals are looked for in between.
    """
    source = sys.stdin.fileno()
    content = bytearray()
    while True:
        while not select.select([source], [], [], SIGNAL_CHECK_S)[0]:
            pass
        chunk = os.read(source, CHUNK_BYTES)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > limit_bytes:
            raise TooLargeError(
                f"standard input is larger than {limit_bytes} bytes; send less, or raise OLLAMAPY_MAX_BODY, "
                "for the daemon too"
            )
