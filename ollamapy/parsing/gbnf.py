"""Reads grammars in llama.cpp's GBNF.

Source: llama.cpp's `grammars/README.md`, and what its `src/llama-grammar.cpp` accepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ollamapy.errors import InvalidInputError

MOST_CHARS = 1 << 16
MOST_DEPTH = 40  # of parentheses
MOST_PARTS = 5000
MOST_REPETITIONS = 2000  # llama.cpp's own limit
MOST_COPIES = 8  # a class so many times is as many classes: each place is known for itself
LAST_CHAR = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
_SURROGATES = (0xD800, 0xDFFF)
_BLANKS = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COUNTS = re.compile(r"\{[ \t]*([0-9]{1,9})[ \t]*(?:(,)[ \t]*([0-9]{1,9})?[ \t]*)?\}")
_ESCAPE = re.compile(r'\\(?:([nrt"\\\[\]])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True, eq=False)
class Chars:
    """One character of these ranges of code points, which are sorted and apart. Each place has a record of its own."""

    ranges: Ranges


@dataclass(frozen=True, slots=True, eq=False)
class Ref:
    """What another rule says."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """One part after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of several."""

    options: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """A part `low` to `high` times, None for without end."""

    part: Part
    low: int
    high: int | None


Part = Chars | Ref | Chain | Choice | Repeat
Rules = Mapping[str, Part]


def parse_gbnf(text: str) -> Rules:
    """Return the rules by name; raises InvalidInputError, which names the line."""
    if len(text) > MOST_CHARS:
        raise InvalidInputError(f"grammar: it has {len(text)} characters; at most {MOST_CHARS} are allowed")
    return _Reader(text).rules()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._n_parts = 0

    def rules(self) -> Rules:
        found: dict[str, Part] = {}
        self._skip(_BLANK_LINES)
        while self._at < len(self._text):
            name = self._name()
            self._skip(_BLANKS)
            if not self._takes("::="):
                raise self._error('"::=" is missing')
            self._skip(_BLANK_LINES)
            if name in found:
                raise self._error(f'the rule "{name[:80]}" is there twice')
            found[name] = self._choice()
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._error(f'"{self._text[self._at]}" can\'t stand here')
            self._skip(_BLANK_LINES)
        return found

    def _choice(self) -> Part:
        options = [self._chain()]
        while self._takes("|"):
            self._skip(_BLANK_LINES)
            options.append(self._chain())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _chain(self) -> Part:
        parts: list[Part] = []
        while (found := self._item()) is not None:
            self._skip_inner()
            parts.append(self._repeated(found))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def _item(self) -> Part | None:
        self._count(1)
        here = self._text[self._at : self._at + 1]
        match here:
            case '"':
                return self._literal()
            case "[":
                return self._class()
            case "(":
                return self._group()
            case ".":
                self._at += 1
                return Chars(((0, LAST_CHAR),))
            case "<" | "!":
                raise self._error("tokens (<...>) are not supported; write the text that they stand for")
            case _:
                return Ref(self._name()) if _NAME.match(here) else None

    def _literal(self) -> Part:
        self._at += 1
        chars: list[Part] = []
        while not self._takes('"'):
            code = self._char()
            chars.append(Chars(((code, code),)))
        self._count(len(chars))
        return chars[0] if len(chars) == 1 else Chain(tuple(chars))

    def _class(self) -> Part:
        self._at += 1
        is_negative = self._takes("^")
        ranges = []
        while not self._takes("]"):
            low = high = self._char()
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._char()
            if low > high:
                raise self._error("a range of characters is the wrong way round")
            ranges.append((low, high))
        self._count(len(ranges))
        merged = _complement(_merged(ranges)) if is_negative else _merged(ranges)
        if not merged:
            raise self._error("a class of characters has none")
        return Chars(merged)

    def _group(self) -> Part:
        if self._depth >= MOST_DEPTH:
            raise self._error(f"parentheses are nested more than {MOST_DEPTH} deep")
        self._at += 1
        self._depth += 1
        self._skip(_BLANK_LINES)
        inner = self._choice()
        if not self._takes(")"):
            raise self._error('")" is missing')
        self._depth -= 1
        return inner

    def _repeated(self, part: Part) -> Part:
        for _ in range(MOST_DEPTH):
            bounds = self._bounds()
            if bounds is None:
                return part
            low, high = bounds
            if high is not None and high < low:
                raise self._error("a repetition has its bounds the wrong way round")
            if max(low, high or 0) > MOST_REPETITIONS:
                raise self._error(f"a repetition has a bound above {MOST_REPETITIONS}")
            if isinstance(part, Chars) and low == high and low <= MOST_COPIES:
                self._count(low)
                part = Chain(tuple(Chars(part.ranges) for _ in range(low)))
            else:
                part = Repeat(part, low, high)
            self._skip_inner()
        raise self._error(f"a part has more than {MOST_DEPTH} repetitions")

    def _bounds(self) -> tuple[int, int | None] | None:
        if self._takes("*"):
            return 0, None
        if self._takes("+"):
            return 1, None
        if self._takes("?"):
            return 0, 1
        if not self._text.startswith("{", self._at):
            return None
        counts = _COUNTS.match(self._text, self._at)
        if counts is None:
            raise self._error("a repetition must be {m}, {m,} or {m,n}")
        self._at = counts.end()
        low = int(counts[1])
        if not counts[2]:
            return low, low
        return low, None if counts[3] is None else int(counts[3])

    def _char(self) -> int:
        """Read one character of a literal or a class."""
        if self._at >= len(self._text) or self._text[self._at] in "\r\n":
            raise self._error("a literal or a class of characters has no end")
        if self._text[self._at] != "\\":
            self._at += 1
            return ord(self._text[self._at - 1])
        escape = _ESCAPE.match(self._text, self._at)
        if escape is None:
            raise self._error("there is no such escape")
        self._at = escape.end()
        plain, *digits = escape.groups()
        code = ord(_PLAIN_ESCAPES.get(plain, plain)) if plain else int(next(filter(None, digits)), 16)
        if code > LAST_CHAR or _SURROGATES[0] <= code <= _SURROGATES[1]:
            raise self._error("an escape is no character")
        return code

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._error("the name of a rule is missing")
        self._at = found.end()
        return found[0]

    def _skip_inner(self) -> None:
        """Pass over blanks behind a part; inside parentheses a line may end anywhere."""
        self._skip(_BLANK_LINES if self._depth else _BLANKS)

    def _skip(self, blanks: re.Pattern[str]) -> None:
        found = blanks.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _takes(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _count(self, n_parts: int) -> None:
        self._n_parts += n_parts
        if self._n_parts > MOST_PARTS:
            raise self._error(f"the grammar has more than {MOST_PARTS} parts")

    def _error(self, what: str) -> InvalidInputError:
        line = self._text.count("\n", 0, self._at) + 1
        return InvalidInputError(f"grammar: {what} (line {line})")


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    gaps, start = [], 0
    for low, high in ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST_CHAR:
        gaps.append((start, LAST_CHAR))
    return tuple(gaps)
