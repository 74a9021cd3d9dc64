"""A process on a terminal of its own, whose screen is emulated: what a person would see is what tests look at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

PATIENCE_SECONDS = 60.0
READY = ">>> Send a message"
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Screen:
    """Use as a context manager: the process is gone at its end."""

    def __init__(
        self, argv: Sequence[str], folder: Path, environ: Mapping[str, str], columns: int = 100, lines: int = 50
    ) -> None:
        self._emulated = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._emulated)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._emulated.write_process_input = self.type  # what a terminal answers when it is asked where its cursor is
        self.raw = b""
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-ISc", TAKE_TERMINAL, *argv],
                stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=dict(environ),
            )  # fmt: skip
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without blanks at their ends and empty lines below."""
        return "\n".join(line.rstrip() for line in self._emulated.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(self.lines)

    @property
    def is_ready(self) -> bool:
        """Whether the prompt waits for a message."""
        return self._emulated.display[self._emulated.cursor.y].startswith(READY)

    def styles_of(self, text: str) -> set[str]:
        """The styles of all characters of a text, where it stands on the screen for the first time."""
        row = next(y for y, line in enumerate(self._emulated.display) if text in line)
        column = self._emulated.display[row].index(text)
        styles: set[str] = set()
        for x in range(column, column + len(text)):
            cell = self._emulated.buffer[row][x]
            styles |= {name for name in ("bold", "italics", "underscore", "strikethrough") if getattr(cell, name)}
            styles |= {cell.fg} - {"default"}
        return styles

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def enter(self, text: str) -> None:
        """Wait for the prompt, type a message, and press Enter."""
        self.wait_for_prompt()
        self.type(text + "\r")

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen."""
        self.wait_until(lambda: text in self.text, text)

    def wait_for_prompt(self) -> None:
        """Wait until the prompt waits for a message."""
        self.wait_until(lambda: self.is_ready, "the prompt")

    def wait_until(self, is_so: Callable[[], bool], what: str = "what was waited for") -> None:
        """Wait until the screen is as it should be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if not self._read_more(deadline):
                raise AssertionError(f"{what!r} did not appear; the screen is\n{self.text}")

    def wait_for_end(self) -> int:
        """Wait until the process has ended and return its exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read_more(deadline):
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def _read_more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        try:
            piece = os.read(self._master, 65536) if ready else b""
        except OSError:  # Linux says so when the other side has closed
            piece = b""
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)
