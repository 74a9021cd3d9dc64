"""Everything that the commands write: answers to standard output, all else to standard error."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

COLUMN_GAP = 4
DIM = "\x1b[2m"
PLAIN = "\x1b[0m"
_CLEAR_LINE = "\r\x1b[K"


def prepare() -> None:
    """Make sure that text which the terminal's encoding lacks is replaced, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


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
    print(text, end="", flush=True)


def line(text: str = "") -> None:
    """Write a line."""
    print(text)


def note(text: str) -> None:
    """Tell the user something that is not part of the result."""
    print(text, file=sys.stderr, flush=True)


def error(message: str) -> None:
    """Tell why the command failed."""
    note(f"Error: {message}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows under their header, in columns that are four spaces apart."""
    for text in table_lines([header, *rows]):
        print(text)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows with their columns aligned; rows may differ in length."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[i]) for row in rows if i < len(row)) + COLUMN_GAP for i in range(columns)]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


class StatusLine:
    """Shows what is being waited for: on a terminal in one line that changes, elsewhere each new status as a line.

    With `is_transient` nothing is left behind and nothing at all is written where there is no terminal.
    """

    def __init__(self, *, is_transient: bool = False) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._is_transient = is_transient
        self._label = ""

    def show(self, label: str, detail: str = "") -> None:
        """Show a label with a detail that changes more often, such as a percentage."""
        if self._is_terminal:
            keep = "" if label == self._label or self._is_transient or not self._label else "\n"
            text = f"{label} {detail}".rstrip()[: terminal_columns() - 1]
            print(f"{keep}{_CLEAR_LINE}{text}", end="", file=sys.stderr, flush=True)
        elif label != self._label and not self._is_transient:
            note(label)
        self._label = label

    def end(self) -> None:
        """Leave the line, or wipe it if it is transient."""
        if self._is_terminal and self._label:
            print(_CLEAR_LINE if self._is_transient else "\n", end="", file=sys.stderr, flush=True)
        self._label = ""
