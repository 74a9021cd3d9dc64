"""Go template text to tokens: text, and the words inside `{{` and `}}`; trim markers are applied here.

Source: https://pkg.go.dev/text/template#hdr-Text_and_spaces
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from ollamapy.template.go.literals import quote

SPACES = " \t\r\n"
KEYWORDS = frozenset("block break continue define else end if range nil template with".split())  # noqa: SIM905
_AFTER_NUMERIC_DOT = ("", *"0123456789")
_TERMINATORS = frozenset(" \t\r\n.,|:)(")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    KEYWORD = auto()
    IDENTIFIER = auto()
    BOOL = auto()
    FIELD = auto()
    VARIABLE = auto()
    DOT = auto()
    NUMBER = auto()
    COMPLEX = auto()
    CHAR_CONSTANT = auto()
    STRING = auto()
    CHAR = auto()
    PIPE = auto()
    ASSIGN = auto()
    DECLARE = auto()
    LEFT_PAREN = auto()
    RIGHT_PAREN = auto()
    ERROR = auto()
    EOF = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the source; `pos` counts characters, `line` from 1. An error's text is its message."""

    kind: Kind
    pos: int
    text: str
    line: int

    def __str__(self) -> str:
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind in (Kind.KEYWORD, Kind.DOT):
            return f"<{self.text}>"
        return f"{quote(self.text[:10])}..." if len(self.text.encode(errors="replace")) > 10 else quote(self.text)


class LexError(Exception):
    """Ends the scan; the message is Go's."""


def scan(source: str) -> list[Token]:
    """Split a template into tokens; the last one is EOF or an error."""
    return list(_Scanner(source).tokens())


class _Scanner:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._start = 0
        self._line = 1
        self._parens = 0

    def tokens(self) -> Iterator[Token]:
        """Yield all tokens."""
        try:
            while (left := self._source.find("{{", self._at)) >= 0:
                yield from self._text(left)
                if self._comment():
                    continue
                yield self._token(Kind.LEFT, 2)
                if self._is_left_trim():
                    self._skip(2)
                self._parens = 0
                while (token := self._inside()).kind is not Kind.RIGHT:
                    yield token
                yield token
        except LexError as error:
            yield Token(Kind.ERROR, self._start, str(error), self._line)
            return
        if self._at < len(self._source):
            yield self._token(Kind.TEXT, len(self._source) - self._at)
        yield Token(Kind.EOF, self._at, "EOF", self._line)

    def _token(self, kind: Kind, length: int) -> Token:
        text = self._source[self._at : self._at + length]
        token = Token(kind, self._at, text, self._line)
        self._skip(length)
        return token

    def _skip(self, length: int) -> None:
        self._line += self._source.count("\n", self._at, self._at + length)
        self._at += length
        self._start = self._at

    def _is_left_trim(self) -> bool:
        return self._source.startswith("-", self._at) and self._source[self._at + 1 : self._at + 2] in tuple(SPACES)

    def _is_right_trim(self, at: int) -> bool:
        return self._source[at : at + 1] in tuple(SPACES) and self._source.startswith("-}}", at + 1)

    def _text(self, left: int) -> Iterator[Token]:
        end = left
        if self._source.startswith("-", left + 2) and self._source[left + 3 : left + 4] in tuple(SPACES):
            end = self._at + len(self._source[self._at : left].rstrip(SPACES))
        if end > self._at:
            yield self._token(Kind.TEXT, end - self._at)
        self._skip(left - self._at)

    def _comment(self) -> bool:
        at = self._at + 2
        if self._source.startswith("-", at) and self._source[at + 1 : at + 2] in tuple(SPACES):
            at += 2
        if not self._source.startswith("/*", at):
            return False
        self._start = at
        end = self._source.find("*/", at + 2) + 2
        if end < 2:
            raise LexError("unclosed comment")
        trims = self._is_right_trim(end)
        if not trims and not self._source.startswith("}}", end):
            raise LexError("comment ends before closing delimiter")
        self._skip(end - self._at)
        self._close(trims=trims)
        return True

    def _close(self, *, trims: bool) -> Token:
        if trims:
            self._skip(2)
        token = self._token(Kind.RIGHT, 2)
        if trims:
            rest = re.compile(f"[{SPACES}]*").match(self._source, self._at)
            self._skip(rest.end() - self._at if rest else 0)
        return token

    def _inside(self) -> Token:
        """Scan one token of an action."""
        trims = self._is_right_trim(self._at)
        if trims or self._source.startswith("}}", self._at):
            if self._parens:
                raise LexError("unclosed left paren")
            return self._close(trims=trims)
        char = self._source[self._at : self._at + 1]
        if char == "":
            raise LexError("unclosed action")
        if char in SPACES:
            return self._spaces()
        if char in "\"`'":
            return self._quoted(char)
        if char == "$" or (char == "." and self._source[self._at + 1 : self._at + 2] not in _AFTER_NUMERIC_DOT):
            return self._field_or_variable(char)
        if char in "+-.0123456789":
            return self._number()
        if _is_alphanumeric(char):
            return self._word()
        return self._mark(char)

    def _mark(self, char: str) -> Token:
        if char == ":":
            if not self._source.startswith(":=", self._at):
                raise LexError("expected :=")
            return self._token(Kind.DECLARE, 2)
        if char in "()":
            self._parens += 1 if char == "(" else -1
            if self._parens < 0:
                raise LexError("unexpected right paren")
        if char in _MARKS:
            return self._token(_MARKS[char], 1)
        if char.isascii() and char.isprintable():
            return self._token(Kind.CHAR, 1)
        raise LexError(f"unrecognized character in action: {_name_char(char)}")

    def _spaces(self) -> Token:
        end = self._at
        while end < len(self._source) and self._source[end] in SPACES:
            end += 1
        if self._is_right_trim(end - 1):
            end -= 1
        return self._token(Kind.SPACE, end - self._at)

    def _quoted(self, mark: str) -> Token:
        pattern, kind, name = _QUOTED[mark]
        match = pattern.match(self._source, self._at)
        if match is None:
            raise LexError(f"unterminated {name}")
        return self._token(kind, match.end() - self._at)

    def _number(self) -> Token:
        end = self._number_end(self._at)
        if self._source[end : end + 1] not in ("+", "-"):
            return self._token(Kind.NUMBER, end - self._at)
        end = self._number_end(end)
        if self._source[end - 1] != "i":
            raise LexError(f"bad number syntax: {quote(self._source[self._at : end])}")
        return self._token(Kind.COMPLEX, end - self._at)

    def _number_end(self, at: int) -> int:
        match = _NUMBER.match(self._source, at)
        end = match.end() if match else at
        if _is_alphanumeric(self._source[end : end + 1]):
            raise LexError(f"bad number syntax: {quote(self._source[self._at : end + 1])}")
        return end

    def _field_or_variable(self, char: str) -> Token:
        end = self._word_end(self._at + 1)
        if end == self._at + 1:
            return self._token(Kind.DOT if char == "." else Kind.VARIABLE, 1)
        return self._token(Kind.FIELD if char == "." else Kind.VARIABLE, end - self._at)

    def _word(self) -> Token:
        end = self._word_end(self._at)
        word = self._source[self._at : end]
        kind = Kind.KEYWORD if word in KEYWORDS else Kind.BOOL if word in ("true", "false") else Kind.IDENTIFIER
        return self._token(kind, end - self._at)

    def _word_end(self, at: int) -> int:
        end = at
        while end < len(self._source) and _is_alphanumeric(self._source[end]):
            end += 1
        after = self._source[end : end + 1]
        if after and after not in _TERMINATORS and not self._source.startswith("}}", end):
            raise LexError(f"bad character {_name_char(after)}")
        return end


def _is_alphanumeric(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _name_char(char: str) -> str:
    code = f"U+{ord(char):04X}"
    return f"{code} '{char}'" if char.isprintable() else code


_MARKS = {"|": Kind.PIPE, "=": Kind.ASSIGN, "(": Kind.LEFT_PAREN, ")": Kind.RIGHT_PAREN}
_QUOTED = {
    '"': (re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'), Kind.STRING, "quoted string"),
    "'": (re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"), Kind.CHAR_CONSTANT, "character constant"),
    "`": (re.compile(r"`[^`]*`"), Kind.STRING, "raw quoted string"),
}
