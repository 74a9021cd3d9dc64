"""Tool calls that are written as Python calls with keyword arguments: LFM2's and Olmo's."""

from __future__ import annotations

import re
from collections.abc import Callable

from ollamapy.parsing.calls import Found, read_values
from ollamapy.types import Json

MAX_NESTING = 50
_NAME = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)")
_WORD = re.compile(r"[A-Za-z]+")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WORDS: dict[str, Json] = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r"}


class _NotPythonError(Exception):
    """The text is not a list of calls."""


def read_python(body: str) -> list[Found] | None:
    """Read `[f(a='x', b=1), g()]`; the brackets may be missing and line breaks stand for commas."""
    text = body.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return _Reader(text).calls() or None
    except _NotPythonError:
        return None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def calls(self) -> list[Found]:
        """Read all calls."""
        found: list[Found] = []
        while self._peek():
            name = self._match(_NAME)[1]
            self._expect("(")
            found.append(Found(name, self._items(")", lambda: self._match(_NAME)[1], "=")))
            if self._peek() == ",":
                self._at += 1
        return found

    def _peek(self) -> str:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        self._peek()
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _NotPythonError
        self._at = match.end()
        return match

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise _NotPythonError
        self._at += 1

    def _items(self, close: str, key: Callable[[], Json], sign: str, depth: int = 0) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while self._peek() != close:
            name = key()
            if not isinstance(name, str):
                raise _NotPythonError
            self._expect(sign)
            found[name] = self._value(depth + 1)
            self._separator(close)
        self._at += 1
        return found

    def _separator(self, close: str) -> None:
        if self._peek() == ",":
            self._at += 1
        elif self._peek() != close:
            raise _NotPythonError

    def _value(self, depth: int) -> Json:
        char = self._peek()
        if depth > MAX_NESTING:
            raise _NotPythonError
        if char in ("'", '"'):
            return self._string()
        if char == "{":
            self._at += 1
            return self._items("}", self._string, ":", depth)
        if char == "[":
            self._at += 1
            return self._list(depth)
        if char.isalpha():
            word = self._match(_WORD)[0]
            if word not in _WORDS:
                raise _NotPythonError
            return _WORDS[word]
        return self._number()

    def _number(self) -> Json:
        text = self._match(_NUMBER)[0].removeprefix("+")
        if text.lstrip("-").startswith(".") or text.endswith("."):
            text = text.replace(".", "0.", 1) if text.lstrip("-").startswith(".") else f"{text}0"
        values = read_values(text)
        if values is None or len(values) != 1:
            raise _NotPythonError
        return values[0]

    def _list(self, depth: int) -> list[Json]:
        found: list[Json] = []
        while self._peek() != "]":
            found.append(self._value(depth + 1))
            self._separator("]")
        self._at += 1
        return found

    def _string(self) -> str:
        single, double = self._match(_STRING).groups()
        text = single if single is not None else double
        return _ESCAPE.sub(lambda found: _CONTROL.get(found[1], found[1]), text)
