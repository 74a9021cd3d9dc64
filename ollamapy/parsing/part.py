"""One piece of a parsed answer, the builder that orders text and calls into pieces, and the loop around a format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from random import Random
from string import ascii_lowercase, digits
from typing import Protocol

from ollamapy.parsing.call_stream import CallStream
from ollamapy.parsing.calls import Found
from ollamapy.types import CallDelta, ToolCall


@dataclass(frozen=True, slots=True)
class Part:
    """What one stretch of generated text gave: the fields of successive parts are concatenated."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_deltas: tuple[CallDelta, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing came out."""
        return not (self.content or self.thinking or self.tool_calls or self.call_deltas)

    def then(self, other: Part) -> Part:
        """Return this part and the next one as one."""
        return Part(
            self.content + other.content,
            self.thinking + other.thinking,
            self.tool_calls + other.tool_calls,
            self.call_deltas + other.call_deltas,
        )

    def passed(self, later: Part) -> Part:
        """Return this part with what a later stage made of its content."""
        return Part(
            later.content,
            self.thinking + later.thinking,
            self.tool_calls + later.tool_calls,
            self.call_deltas + later.call_deltas,
        )

    def with_first_call(self) -> Part:
        """Return the part with no call but its first."""
        first = self.tool_calls[:1]
        deltas = tuple(delta for delta in self.call_deltas if first and delta.index == first[0].index)
        return replace(self, tool_calls=first, call_deltas=deltas)


class Stage(Protocol):
    """An incremental parser: whatever the chunks, the parts add up to the same answer."""

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""

    def close(self) -> Part:
        """Return the rest; what is malformed comes out as text."""


class PartBuilder:
    """Collects text and calls; whitespace beside a call is dropped, save one gap between two stretches of text."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._content: list[str] = []
        self._thinking = ""
        self._calls: list[ToolCall] = []
        self._deltas: list[CallDelta] = []
        self._begun: tuple[str, int] | None = None  # id and index of a call that is being written
        self._is_told = False  # whether a piece of that was taken
        self._count = 0
        self._space = ""  # whitespace since the last text or call
        self._gap: str | None = None  # whitespace before the first call since the last text
        self._has_text = False
        self.at_edge = True  # no text since the start or since the last call

    def text(self, text: str) -> None:
        """Add text of the answer."""
        body = text.rstrip()
        if not body:
            self._space += text
            return
        trailing = text[len(body) :]
        if self._gap is not None:
            lead = self._space + body[: len(body) - len(body.lstrip())]
            self._space = (self._gap or lead) if self._has_text else ""
            self._gap = None
            body = body.lstrip()
        self._content.append(self._space + body)
        self._space, self._has_text, self.at_edge = trailing, True, False

    def think(self, text: str) -> None:
        """Add what is thought."""
        self._thinking += text

    def write(self, stream: CallStream, body: str, end: int) -> None:
        """Add what is new in `body[:end]` of the arguments of the call that is being written."""
        arguments = stream.follow(body, end)
        if arguments:
            self._begun = self._begun or self._next_id()
            call_id, index = self._begun
            self._deltas.append(CallDelta(index, call_id, stream.name, arguments))

    def abandon(self) -> None:
        """Forget the call that was being written: it is none after all."""
        self._begun, self._is_told = None, False

    def call(self, found: Found) -> None:
        """Add a tool call: the one that was being written, or another under a new id and the next index.

        Pieces of it that nobody took yet are not needed any more.
        """
        call_id, index = self._begun or self._next_id()
        if not self._is_told:
            self._deltas = [delta for delta in self._deltas if delta.index != index]
        self.abandon()
        self._calls.append(ToolCall(found.name, found.arguments, id=call_id, index=index))
        if self._gap is None:
            self._gap = self._space
        self._space, self.at_edge = "", True

    def flush(self) -> None:
        """Give out the whitespace that was held back, unless it follows a call."""
        if self._gap is None:
            self._content.append(self._space)
        self._space = ""

    def take(self) -> Part:
        """Return what was added since the last time."""
        part = Part("".join(self._content), self._thinking, tuple(self._calls), tuple(self._deltas))
        self._content, self._thinking, self._calls, self._deltas = [], "", [], []
        self._is_told = self._begun is not None
        return part

    def _next_id(self) -> tuple[str, int]:
        name = "".join(self._rng.choices(ascii_lowercase + digits, k=8))
        self._count += 1
        return f"call_{name}", self._count - 1


class StepParser(ABC):
    """A stage that works its buffer off in steps, each of which puts what it found into `_out`."""

    def __init__(self, rng: Random) -> None:
        self._out = PartBuilder(rng)
        self._buffer = ""

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""
        self._buffer += text
        while self._step(final=False):
            pass
        return self._out.take()

    def close(self) -> Part:
        """Return the rest; what is malformed comes out as text."""
        while self._step(final=True):
            pass
        self._finish()
        self._out.flush()
        return self._out.take()

    @abstractmethod
    def _step(self, *, final: bool) -> bool:
        """Work off what can be told by now, with `final` all there is; return whether there may be more."""

    def _finish(self) -> None:  # noqa: B027 - most formats leave nothing
        """Give out what the last step has left."""
