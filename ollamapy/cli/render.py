"""Everything that the commands write: answers to standard output, all else to standard error."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

COLUMN_GAP = 4
DIM = "\x1b[2m"
PLAIN = "\x1b[0m"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLEAR_BEHIND = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"


class OutputError(Exception):
    """Standard output takes no more, for another reason than that its reader left."""


def prepare() -> None:
    """Make sure that all three streams are there, and that text which the terminal's encoding lacks is replaced."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _open_missing_streams() -> None:
    """Stand in for the streams that the process was started without, for which Python has None.

    Nothing is read, what is told beside the result is dropped, and a result can't be written, which is an error. They
    are opened in the order of their numbers, which thus are taken: no socket gets one of them.
    """
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY), "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)


def finish() -> None:
    """Write what is left of the output; raises BrokenPipeError, OutputError."""
    with _writing():
        sys.stdout.flush()


def drop(stream: TextIO) -> None:
    """Give up standard output or standard error after an error, so that what is left of it makes no second one."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_input_terminal() -> bool:
    """Whether a person types the input."""
    return sys.stdin.isatty()


def is_output_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def terminal_columns() -> int:
    """Return the width of the terminal."""
    return shutil.get_terminal_size().columns


def write(text: str) -> None:
    """Write a piece of an answer at once, as it is."""
    with _writing():
        print(text, end="", flush=True)


def line(text: str = "") -> None:
    """Write a line; what could steer a terminal does not reach one."""
    with _writing():
        print(harmless(text) if is_output_terminal() else text)


def note(text: str) -> None:
    """Tell the user something that is not part of the result; where that can't be written, it is lost."""
    try:
        print(harmless(text) if is_error_terminal() else text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        drop(sys.stderr)


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a disk that is full, and the like, from errors of what the command does."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise OutputError(f"the output can't be written: {exc.strerror}") from exc


def harmless(text: str) -> str:
    """Return a text of somebody else without the control characters that could steer a terminal."""
    return _CONTROL.sub("", text)


def error(message: str) -> None:
    """Tell why the command failed."""
    note(f"Error: {message}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows under their header, in columns that are four spaces apart."""
    for text in table_lines([header, *rows]):
        line(text)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows with their columns aligned; rows may differ in length."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[i]) for row in rows if i < len(row)) + COLUMN_GAP for i in range(columns)]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


class Region:
    """Lines on standard error, a terminal, that are written again and again; what stands above them stays."""

    def __init__(self) -> None:
        self._count = 0

    def draw(self, finished: Sequence[str], active: Sequence[str]) -> None:
        """Write the lines in place of those of the last time; the finished ones are never written again."""
        up = f"\x1b[{self._count - 1}A" if self._count > 1 else ""
        lines = [*finished, *active]
        text = "\n".join(f"\r{_CLEAR_BEHIND}{harmless(line)}" for line in lines)
        ending = "\n" if finished and not active else ""
        print(f"{up}\r{_CLEAR_BELOW}{text}{ending}", end="", file=sys.stderr, flush=True)
        self._count = len(active)

    def leave(self) -> None:
        """Go on below the lines."""
        if self._count:
            print(file=sys.stderr, flush=True)
        self._count = 0

    def wipe(self) -> None:
        """Take the lines away."""
        if self._count:
            self.draw((), ())


def is_error_terminal() -> bool:
    """Whether a person reads what is told beside the result."""
    return sys.stderr.isatty()
