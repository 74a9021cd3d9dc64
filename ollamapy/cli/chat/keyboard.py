"""The keyboard while no prompt reads it: keys are not echoed into what is printed, and wait for the next prompt."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_INPUT_FLAGS, _LOCAL_FLAGS = 0, 3  # of termios.tcgetattr
_PIECE_BYTES = 4096
_CTRL_D = "\x04"


@contextmanager
def held_back() -> Iterator[str]:
    """Keep keys from the screen; Ctrl-C still interrupts. Enter stays Enter, so that a message typed early is sent.

    Gives what was typed before, while the terminal made lines of it, as a prompt expects it.
    """
    terminal = sys.stdin.fileno()
    typed = _typed_lines(terminal)
    before = termios.tcgetattr(terminal)
    quiet = list(before)
    quiet[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
    quiet[_LOCAL_FLAGS] |= termios.NOFLSH
    quiet[_INPUT_FLAGS] &= ~termios.ICRNL
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield typed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _typed_lines(terminal: int) -> str:
    """Return the whole lines that wait to be read; the terminal has made a newline of Enter and an end of Ctrl-D."""
    typed = ""
    while select.select([terminal], [], [], 0)[0]:
        piece = os.read(terminal, _PIECE_BYTES)
        typed += piece.decode(errors="replace").replace("\n", "\r")
        if not piece:
            return typed + _CTRL_D
    return typed
