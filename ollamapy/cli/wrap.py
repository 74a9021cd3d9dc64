"""Breaks a stream of text into lines of a terminal's width between words: pure, piece by piece."""

from __future__ import annotations

import re

from wcwidth import wcswidth, wcwidth

MARGIN = 5
LEAST_COLUMNS = 10
TAB_COLUMNS = 8
_STYLE = "\x1b\\[[0-9;]*m"
_WIDE = "\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003fffd"
_PARTS = re.compile(rf"\n|[^\S\n]+|{_STYLE}|[{_WIDE}]|[^\s{_WIDE}\x1b]+|\x1b")
_BREAKS_ANYWHERE = re.compile(f"[{_WIDE}]")
_STYLES = re.compile(_STYLE)


class WordWrap:
    """Holds back an unfinished word until it is known on which line it fits; styles take no room.

    A word that is longer than a line is left to the terminal, so that it can be copied in one piece.
    """

    def __init__(self, columns: int) -> None:
        self._columns = max(columns, LEAST_COLUMNS)
        self._limit = max(columns - MARGIN, LEAST_COLUMNS)
        self._column = 0
        self._word = ""
        self._is_within = False  # a word whose beginning has been shown
        self._indent = ""

    def feed(self, text: str) -> str:
        """Return the text that can be shown now."""
        out = []
        for part in _PARTS.findall(text):
            if part.isspace():
                out += [self._flush(), part]
                self._is_within = False
                self._move(part)
                continue
            if _BREAKS_ANYWHERE.match(part):
                out.append(self._flush())
                self._is_within = False
            self._word += part
            if _BREAKS_ANYWHERE.match(part):
                out.append(self._flush())
            elif self._is_within or (len(part) > 1 and display_width(self._word) >= self._limit):
                out.append(self._flush())
                self._is_within = True
        return "".join(out)

    def end(self) -> str:
        """Return the word that was held back."""
        return self._flush()

    def restart(self) -> None:
        """Begin a new line that was not written here."""
        self._column = 0
        self._is_within = False

    def indent(self, text: str) -> None:
        """Begin further lines of the same paragraph with this text; the end of the paragraph's line ends that."""
        self._indent = text

    def verbatim(self, text: str) -> str:
        """Return what was held back and then this text as it is, with no line broken."""
        out = self._flush() + text
        self._move(text)
        return out

    def _move(self, text: str) -> None:
        *lines, last = text.split("\n")
        if lines:
            self._column, self._indent = 0, ""
        for piece in re.split("(\t)", last):
            step = TAB_COLUMNS - self._column % TAB_COLUMNS if piece == "\t" else display_width(piece)
            self._column += step

    def _flush(self) -> str:
        word, self._word = self._word, ""
        if not word:
            return ""
        width = display_width(word)
        if self._is_within or not self._column or self._column + width <= self._limit:
            self._column = self._place(self._column + width)
            return word
        self._column = self._place(display_width(self._indent) + width)
        return f"\n{self._indent}{word}"

    def _place(self, column: int) -> int:
        return column if column <= self._columns else column % self._columns


def display_width(text: str) -> int:
    """Return how many columns the text takes; what only colours it or joins other characters takes none."""
    plain = _STYLES.sub("", text)
    if plain.isascii() and plain.isprintable():
        return len(plain)
    width = int(wcswidth(plain))
    return width if width >= 0 else sum(max(int(wcwidth(character)), 0) for character in plain)


def cut(text: str, columns: int) -> str:
    """Return the beginning of a text that fits into that many columns."""
    while display_width(text) > columns:
        text = text[:-1]
    return text
