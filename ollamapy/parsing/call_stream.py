"""A tool call while it is being written: where its arguments begin, and their text so far, as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

MAX_HEAD_CHARS = 512  # of a body, before its arguments begin; behind that a call is given out whole

Head = Callable[[str], "tuple[str, int] | None"]
"""Returns the name of the call that a body begins and where its argument object starts, once both can be told."""

_FIELDS = r'(?:"(?:id|type|tool_call_id)"\s*:\s*"[^"\\]*"\s*,\s*)*'
_JSON_HEAD = re.compile(
    rf'\s*\[?\s*\{{\s*{_FIELDS}(?:"function"\s*:\s*\{{\s*)?"(?:name|tool_name|function)"\s*:\s*"([^"\\]+)"\s*,\s*'
    rf'{_FIELDS}"(?:arguments|parameters|args)"\s*:\s*(?=\{{)'
)
_MARK = re.compile(r'["\\{}\[\]\x00-\x1f]')
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def json_head(body: str, declared: Collection[str] | None = None) -> tuple[str, int] | None:
    """Read the head of `{"name": ..., "arguments": {`; with `declared`, no other name counts."""
    match = _JSON_HEAD.match(body)
    if match is None or (declared is not None and match[1] not in declared):
        return None
    return match[1], match.end()


def pattern_head(pattern: re.Pattern[str]) -> Head:
    """Return the head of a call whose first group is its name, with the argument object right behind."""

    def head(body: str) -> tuple[str, int] | None:
        match = pattern.match(body)
        return (match[1], match.end()) if match and body.startswith("{", match.end()) else None

    return head


def named_head(name: str) -> Head:
    """Return the head of a body that is nothing but the arguments of a call to `name`."""

    def head(body: str) -> tuple[str, int] | None:
        start = len(body) - len(body.lstrip())
        return (name, start) if body.startswith("{", start) else None

    return head


class CallStream:
    """Follows the body of one call as it grows; control characters within strings are escaped, as JSON wants them."""

    def __init__(self, head: Head | None) -> None:
        self._head = head
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._is_over = head is None
        self.name = ""

    def follow(self, body: str, end: int) -> str:
        """Return the argument text that is new in `body[:end]`, which has only grown since the last time."""
        if not self.name and not self._is_over:
            self._begin(body[:end])
        pieces: list[str] = []
        while self.name and not self._is_over and self._at < end:
            match = _MARK.search(body, self._at, end)
            stop = match.start() if match else end
            pieces.append(body[self._at : stop])
            self._at = stop
            if match is None or (mark := self._read_mark(body, end)) is None:
                break
            pieces.append(mark)
        return "".join(pieces)

    def _begin(self, body: str) -> None:
        head = self._head(body[:MAX_HEAD_CHARS]) if self._head else None
        if head is not None:
            self.name, self._at = head
        else:
            self._is_over = len(body) > MAX_HEAD_CHARS

    def _read_mark(self, body: str, end: int) -> str | None:
        """Take one bracket, quote, escape or control character; None where an escape is not complete yet."""
        char = body[self._at]
        if char == "\\":
            escape = body[self._at : min(self._at + 2, end)]
            if len(escape) < 2:
                return None
            self._at += 2
            return escape
        self._at += 1
        if char == '"':
            self._in_string = not self._in_string
        elif char < " ":
            return (_ESCAPES.get(char) or f"\\u{ord(char):04x}") if self._in_string else char
        elif not self._in_string:
            self._depth += 1 if char in "{[" else -1
            self._is_over = self._depth == 0
        return char
