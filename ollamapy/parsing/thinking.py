"""The thinking stage: splits what a model thinks from what it answers at a pair of tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ollamapy.parsing.blocks import overlap
from ollamapy.parsing.part import Part


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The texts around a model's thinking."""

    open: str
    close: str


class State(Enum):
    """Where the parser stands; it only moves downwards."""

    LOOKING_FOR_OPEN = auto()
    BEFORE_THINKING = auto()  # the opening tag has come; whitespace is skipped
    THINKING = auto()
    BEFORE_CONTENT = auto()  # the closing tag has come; whitespace is skipped
    CONTENT = auto()


class ThinkingParser:
    """Text to thinking and content. An answer that does not begin with the opening tag is all content.

    Some models call a tool without closing their thinking first: blocks between `call_tags` that end an answer whose
    thinking is still open are content, too, once it has ended.
    """

    def __init__(self, tags: ThinkingTags, *, prompt_tail: str = "", call_tags: Sequence[tuple[str, str]] = ()) -> None:
        self._tags = tags
        self._call_tags = call_tags
        self._thought: list[str] = []
        self._buffer = ""
        opened = prompt_tail.rstrip().endswith(tags.open)
        self.state = State.BEFORE_THINKING if opened else State.LOOKING_FOR_OPEN

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""
        self._buffer += text
        thinking = ""
        before: State | None = None
        while before is not self.state:
            before = self.state
            thinking += self._advance(before)
        if before is not State.CONTENT:
            return Part(thinking=thinking)
        content, self._buffer = self._buffer, ""
        return Part(content, thinking)

    def close(self) -> Part:
        """Return what was withheld in case a tag would follow."""
        rest, self._buffer = self._buffer, ""
        if self.state is State.THINKING:
            return Part(last_calls("".join([*self._thought, rest]), self._call_tags), rest)
        return Part() if self.state in (State.BEFORE_THINKING, State.BEFORE_CONTENT) else Part(rest)

    def _advance(self, state: State) -> str:
        """Move one state on if the buffer allows; return the thinking on the way."""
        if state is State.LOOKING_FOR_OPEN:
            self._look_for_open()
        elif state is State.THINKING:
            return self._think()
        elif state is not State.CONTENT:
            self._buffer = self._buffer.lstrip()
            if self._buffer:
                self.state = State.THINKING if state is State.BEFORE_THINKING else State.CONTENT
        return ""

    def _look_for_open(self) -> None:
        text = self._buffer.lstrip()
        if text.startswith(self._tags.open):
            self._buffer = text[len(self._tags.open) :]
            self.state = State.BEFORE_THINKING
        elif not self._tags.open.startswith(text):
            self.state = State.CONTENT

    def _think(self) -> str:
        thinking, closed, rest = self._buffer.partition(self._tags.close)
        if closed:
            self.state = State.BEFORE_CONTENT
            self._buffer = rest
            return thinking
        kept = overlap(self._buffer, self._tags.close)
        thinking = self._buffer[: len(self._buffer) - kept]
        self._buffer = self._buffer[len(thinking) :]
        self._thought.append(thinking)
        return thinking


def last_calls(thought: str, tags: Sequence[tuple[str, str]]) -> str:
    """Return the whole blocks between `tags` that a text ends with, nothing else being behind or between them."""
    start = end = len(thought.rstrip())
    while True:
        text = thought[:start].rstrip()
        found = (text.rfind(opening) for opening, closing in tags if text.endswith(closing))
        begun = max(found, default=-1)
        if begun < 0:
            return thought[start:end].lstrip()
        start = begun
