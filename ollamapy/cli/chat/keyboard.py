"""The keyboard between two prompts: what is typed is not echoed into an answer, and waits for the next prompt."""

from __future__ import annotations

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_INPUT_FLAGS, _LOCAL_FLAGS = 0, 3  # of termios.tcgetattr


@contextmanager
def held_back() -> Iterator[None]:
    """Keep keys from the screen; Ctrl-C still interrupts. Enter stays Enter, so that a message typed early is sent."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    quiet = list(before)
    quiet[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
    quiet[_LOCAL_FLAGS] |= termios.NOFLSH
    quiet[_INPUT_FLAGS] &= ~termios.ICRNL
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
