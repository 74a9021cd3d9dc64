"""The incremental machine that finds tool-call blocks in streamed text, whatever their syntax."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from ollamapy.parsing.call_stream import CallStream, Head
from ollamapy.parsing.calls import Found
from ollamapy.parsing.part import StepParser

MAX_HEAD_CHARS = 256  # between an opening tag and the JSON value that it announces
MAX_CLOSES = 16  # closing tags tried while a JSON string is open

Reader = Callable[[str], "list[Found] | None"]
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
_ESCAPE = re.compile(r"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a block begins and ends, and how its body is read (None: it is no call after all).

    Without `close` a block ends with its first balanced JSON value. A `bare` one begins with the bracket `open` itself,
    and only where no text has come before. With `strings`, a `close` within a JSON string is skipped. `head` finds the
    arguments of a call that is still being written.
    """

    open: str
    close: str
    read: Reader
    bare: bool = False
    strings: bool = False
    is_dropped: bool = False
    head: Head | None = None

    @classmethod
    def dropped(cls, mark: str) -> Syntax:
        """Return the syntax of a mark that only stands around calls and is left out of the text."""
        return cls(mark, "", lambda _: None, is_dropped=True)


class BlockParser(StepParser):
    """Text to content and calls. What fails to parse comes out as text, and is searched for further blocks."""

    def __init__(self, syntaxes: Sequence[Syntax], rng: Random) -> None:
        super().__init__(rng)
        self._tagged = [s for s in syntaxes if not s.bare]
        self._bare = [s for s in syntaxes if s.bare]
        self._enter(None)

    @property
    def tags(self) -> list[tuple[str, str]]:
        """What blocks stand between, where both ends are told."""
        return [(syntax.open, syntax.close) for syntax in self._tagged if syntax.close]

    def _enter(self, syntax: Syntax | None) -> None:
        self._inside = syntax
        self._searched = 0
        self._closes = 0
        self._balance = Balance()
        self._stream = CallStream(syntax.head if syntax else None)
        self._out.abandon()

    def _step(self, *, final: bool) -> bool:
        if self._inside is None:
            return self._look_for_open(final=final)
        return self._look_for_end(self._inside, final=final)

    def _look_for_open(self, *, final: bool) -> bool:
        buffer = self._buffer
        first: tuple[int, int, Syntax] | None = None
        keep = 0
        for syntax in self._tagged:
            at = buffer.find(syntax.open)
            if at >= 0 and (first is None or (at, -len(syntax.open)) < first[:2]):
                first = (at, -len(syntax.open), syntax)
            keep = max(keep, 0 if final else overlap(buffer, syntax.open))
        if first is None or buffer[: first[0]].lstrip():
            bare = self._find_bare(len(buffer) - keep)
            first = bare or first
        if first is not None:
            at, _, syntax = first
            self._out.text(buffer[:at])
            self._buffer = buffer[at:] if syntax.bare else buffer[at + len(syntax.open) :]
            self._enter(None if syntax.is_dropped else syntax)
            return True
        if keep < len(buffer):
            self._out.text(buffer[: len(buffer) - keep])
            self._buffer = buffer[len(buffer) - keep :]
        return False

    def _find_bare(self, limit: int) -> tuple[int, int, Syntax] | None:
        if not self._bare or not self._out.at_edge:
            return None
        at = len(self._buffer) - len(self._buffer.lstrip())
        for syntax in self._bare:
            if at < limit and self._buffer.startswith(syntax.open, at):
                return at, 0, syntax
        return None

    def _look_for_end(self, syntax: Syntax, *, final: bool) -> bool:
        if not syntax.close:
            self._out.write(self._stream, self._buffer, len(self._buffer))
            end = self._balance.find_end(self._buffer)
            if end is None and (final or self._balance.hopeless(self._buffer)):
                return self._give_up(syntax)
            return end is not None and (self._accept(syntax, end, end) or self._give_up(syntax))
        at = self._buffer.find(syntax.close, self._searched)
        kept = 0 if final else overlap(self._buffer, syntax.close)
        self._out.write(self._stream, self._buffer, at if at >= 0 else len(self._buffer) - kept)
        if at < 0:
            self._searched = max(0, len(self._buffer) - len(syntax.close) + 1)
            return final and (self._accept(syntax, len(self._buffer), len(self._buffer)) or self._give_up(syntax))
        if self._accept(syntax, at, at + len(syntax.close)):
            return True
        self._closes += 1
        if not syntax.strings or self._closes >= MAX_CLOSES or not in_string(self._buffer[:at]):
            return self._give_up(syntax)
        self._searched = at + 1
        return True

    def _accept(self, syntax: Syntax, body_end: int, end: int) -> bool:
        found = syntax.read(self._buffer[:body_end])
        if found is None:
            return False
        for call in found:
            self._out.call(call)
        self._buffer = self._buffer[end:]
        self._enter(None)
        return True

    def _give_up(self, syntax: Syntax) -> bool:
        self._out.text(syntax.open)
        if syntax.bare:
            self._buffer = self._buffer[len(syntax.open) :]
        self._enter(None)
        return True


class Balance:
    """Finds the end of the first JSON object of a growing text, or of an array that leads it."""

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0
        self._string = False

    def find_end(self, text: str) -> int | None:
        """Return the index behind the balanced value once `text`, which may only have grown, contains it."""
        if self._depth == 0 and not self._find_start(text):
            return None
        while match := (_INSIDE if self._string else _OUTSIDE).search(text, self._at):
            char = match.group()
            if char == "\\":
                if match.end() == len(text):
                    self._at = match.start()
                    return None
                self._at = match.end() + 1
                continue
            self._at = match.end()
            if char == '"':
                self._string = not self._string
            else:
                self._depth += 1 if char in "{[" else -1
            if self._depth == 0:
                return self._at
        self._at = len(text)
        return None

    def hopeless(self, text: str) -> bool:
        """Return whether no value began where one had to."""
        return self._depth == 0 and len(text) > MAX_HEAD_CHARS

    def _find_start(self, text: str) -> bool:
        head = text[: MAX_HEAD_CHARS + 1]
        blank = len(head) - len(head.lstrip())
        at = blank if head.startswith("[", blank) else head.find("{")
        if at >= 0:
            self._at, self._depth = at + 1, 1
        return at >= 0


def overlap(text: str, tag: str) -> int:
    """Return the length of the longest end of `text` that begins `tag` without completing it."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:size]):
            return size
    return 0


def in_string(text: str) -> bool:
    """Return whether `text` is JSON that stops inside a string."""
    return text.lstrip()[:1] in ("{", "[") and _ESCAPE.sub("", text).count('"') % 2 == 1
