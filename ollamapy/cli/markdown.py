"""Shows Markdown on a terminal while it is still being written: pure, and nothing shown is ever taken back.

Only what must be known before it can be laid out waits: the mark at the beginning of a line, a span until it is closed,
a table until it is whole. Source: CommonMark 0.31 and its tables at GitHub, as far as models write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ollamapy.cli.inline import BOLD, CODE, FAINT, UNDERLINE, Inline, inline, styled
from ollamapy.cli.wrap import WordWrap, display_width

Kind = Literal["text", "heading", "item", "quote", "fence", "rule", "row"]

RULE_COLUMNS = 40
MOST_ROWS = 200  # of a table that waits for its end
CELL_GAP = "  "
_LINES = re.compile(r"[^\n]+|\n")
_UNDECIDED = re.compile(r" *(?:#{1,6}|-+|\++|\*+|_+|`{1,2}|`{3,}[^`]*|~+|~{3,}.*|\d{1,9}[.)]?|>|\|.*)?", re.DOTALL)
_HEADING = re.compile(r" *(#{1,6}) +")
_ITEM = re.compile(r"( *)([-*+]|\d{1,9}[.)]) ")
_QUOTE = re.compile(r" *> ?")
_FENCE = re.compile(r" *(`{3,}|~{3,})[^`]*")
_RULE = re.compile(r" *([-*_])\1{2,} *")
_ROW = re.compile(r" *\|.*")
_DELIMITERS = re.compile(r" *\|?[ :|-]*-[ :|-]*")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Start:
    """What a line is, and its text behind the mark; `mark` is shown in place of what was written."""

    kind: Kind
    rest: str
    mark: str = ""


def classify(line: str, *, is_whole: bool) -> Start | None:
    """Return what a line is that begins so; None where more of it must come first."""
    if not is_whole and _UNDECIDED.fullmatch(line):
        return None
    if found := _HEADING.match(line):
        return Start("heading", line[found.end() :], found.group(1))
    if is_whole and _RULE.fullmatch(line):
        return Start("rule", "")
    if is_whole and (found := _FENCE.fullmatch(line)):
        return Start("fence", line, found.group(1))
    if found := _ITEM.match(line):
        blanks, mark = found.groups()
        return Start("item", line[found.end() :], f"{blanks}{mark if mark[0].isdigit() else '•'} ")
    if found := _QUOTE.match(line):
        return Start("quote", line[found.end() :], styled(FAINT, "│") + " ")
    if is_whole and _ROW.fullmatch(line):
        return Start("row", line)
    return Start("text", line)


class Markdown:
    """Takes the pieces of an answer and gives out terminal text; without `wrap` no line is broken."""

    def __init__(self, wrap: WordWrap | None, columns: int) -> None:
        self._wrap = wrap
        self._columns = columns
        self._inline = Inline()
        self._line = ""  # the beginning of a line of which it is not known what it is
        self._is_begun = False
        self._close = ""  # ends the style that the line began with
        self._fence = ""
        self._rows: list[str] = []

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        return "".join(self._end_line("\n") if part == "\n" else self._text(part) for part in _LINES.findall(text))

    def end(self) -> str:
        """Return what is left when the answer is over; all styles are ended."""
        out = self._end_line("") if self._line or self._is_begun else ""
        self._fence = ""
        return out + self._table().removesuffix("\n") + (self._wrap.end() if self._wrap else "")

    def _text(self, text: str) -> str:
        if self._is_begun:
            return self._go_on(text)
        self._line += text
        start = self._start(is_whole=False)
        return self._begin(start) if start else ""

    def _end_line(self, newline: str) -> str:
        out = ""
        if not self._is_begun:
            start = self._start(is_whole=True)
            if start and start.kind == "row":
                return self._hold(start.rest)
            out = self._begin(start) if start else ""
        out += self._flow(self._inline.end()) + self._verbatim(self._close + newline)
        self._is_begun, self._close = False, ""
        return out

    def _start(self, *, is_whole: bool) -> Start | None:
        if not self._fence:
            return classify(self._line, is_whole=is_whole)
        mark = self._line.strip(" ")
        if not is_whole and mark == self._fence[0] * len(mark):
            return None
        is_end = bool(mark) and mark == self._fence[0] * max(len(mark), len(self._fence))
        return Start("fence" if is_end else "text", self._line)

    def _begin(self, start: Start) -> str:
        """Show the beginning of a line."""
        self._line, self._is_begun = "", True
        if self._fence:
            self._fence = "" if start.kind == "fence" else self._fence
            opening, self._close = CODE if self._fence else FAINT
            return self._verbatim(opening + start.rest)
        out = self._table()
        if start.kind == "fence":
            self._fence = start.mark
            return out + self._verbatim(styled(FAINT, start.rest))
        if start.kind == "rule":
            return out + self._verbatim(styled(FAINT, "─" * min(self._columns, RULE_COLUMNS)))
        return out + self._open(start) + self._flow(self._inline.feed(start.rest))

    def _open(self, start: Start) -> str:
        """Begin the style of a line and set how its further lines are indented."""
        shown = start.mark
        if start.kind == "heading":
            opening, closing = zip(*((BOLD, UNDERLINE) if start.mark == "#" else (BOLD,)), strict=True)
            shown, self._close = "".join(opening), "".join(closing)
        out = self._verbatim(shown)
        if self._wrap and start.kind in ("item", "quote"):
            self._wrap.indent(shown if start.kind == "quote" else " " * display_width(shown))
        return out

    def _go_on(self, text: str) -> str:
        return self._verbatim(text) if self._fence else self._flow(self._inline.feed(text))

    def _hold(self, row: str) -> str:
        self._rows.append(row)
        self._line = ""
        return self._table() if len(self._rows) >= MOST_ROWS else ""

    def _table(self) -> str:
        """Return the rows that were held back, in columns where they fit."""
        rows, self._rows = self._rows, []
        if not rows:
            return ""
        lines = table_lines(rows)
        if max(map(display_width, lines)) > self._columns:
            lines = [inline(row) for row in rows]
        return self._verbatim("".join(f"{line}\n" for line in lines))

    def _flow(self, text: str) -> str:
        return self._wrap.feed(text) if self._wrap else text

    def _verbatim(self, text: str) -> str:
        return self._wrap.verbatim(text) if self._wrap else text


def table_lines(rows: list[str]) -> list[str]:
    """Return the lines of a table, its header in bold; rows without a line of delimiters stay as they are."""
    if len(rows) < 2 or not _DELIMITERS.fullmatch(rows[1]):
        return [inline(row) for row in rows]
    header, *body = [cells(row) for row in (rows[0], *rows[2:])]
    shown = [[styled(BOLD, cell) for cell in header], *body]
    count = max(map(len, shown))
    filled = [row + [""] * (count - len(row)) for row in shown]
    widths = [max(display_width(row[i]) for row in filled) for i in range(count)]
    lines = [
        CELL_GAP.join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in filled
    ]
    return [lines[0], styled(FAINT, CELL_GAP.join("─" * width for width in widths)), *lines[1:]]


def cells(row: str) -> list[str]:
    """Return the cells of a row with their spans shown."""
    text = row.strip().removeprefix("|")
    text = text if text.endswith("\\|") else text.removesuffix("|")
    return [inline(cell.strip().replace("\\|", "|")) for cell in _CELL_BORDER.split(text)]


def pad(cell: str, width: int) -> str:
    """Return a cell with the blanks that fill its column."""
    return cell + " " * (width - display_width(cell))
