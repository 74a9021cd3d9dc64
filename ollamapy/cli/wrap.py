"""Breaks a stream of text into lines of a terminal's width between words: pure, piece by piece."""

from __future__ import annotations

import re
import unicodedata

MARGIN = 5
_WIDE = "\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003fffd"
_PARTS = re.compile(rf"\n|[^\S\n]+|[{_WIDE}]|[^\s{_WIDE}]+")
_BREAKS_ANYWHERE = re.compile(f"[{_WIDE}]")


class WordWrap:
    """Holds back an unfinished word until it is known on which line it fits."""

    def __init__(self, columns: int) -> None:
        self._limit = max(columns - MARGIN, 10)
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        """Return the text that can be shown now."""
        out = []
        for part in _PARTS.findall(text):
            if part.isspace():
                out += [self._flush(), part]
                self._column = 0 if part == "\n" else self._column + len(part)
                continue
            if _BREAKS_ANYWHERE.match(part):
                out.append(self._flush())
            self._word += part
            if _BREAKS_ANYWHERE.match(part) or display_width(self._word) >= self._limit:
                out.append(self._flush())
        return "".join(out)

    def end(self) -> str:
        """Return the word that was held back."""
        return self._flush()

    def restart(self) -> None:
        """Begin a new line."""
        self._column = 0

    def _flush(self) -> str:
        word, self._word = self._word, ""
        width = display_width(word)
        if self._column and self._column + width > self._limit:
            self._column = width
            return f"\n{word}"
        self._column += width
        return word


def display_width(text: str) -> int:
    """Return how many columns the text takes; combining characters take none, East Asian wide ones two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
