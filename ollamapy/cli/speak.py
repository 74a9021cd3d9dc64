"""Prints what a model says while it says it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field

from ollamapy.cli import render
from ollamapy.cli.answer import AnswerText, cut_words, statistics, tool_call_text
from ollamapy.cli.loading import LoadWatch
from ollamapy.cli.progress import Progress
from ollamapy.client import Client
from ollamapy.dialects.native import ChatRecord, GenerateRecord
from ollamapy.types import GenerateRequest, Json, Message, Options, Think


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked and its answers are shown, for one run of the command."""

    model: str
    system: str | None = None
    options: Options = field(default_factory=Options)
    format: Json = None
    think: Think = None
    keep_alive_seconds: float | None = None
    is_verbose: bool = False
    hide_thinking: bool = False
    is_wrapped: bool = False
    is_dimmed: bool = False
    has_markdown: bool = False


def load(client: Client, manner: Manner) -> None:
    """Wait until the model is in memory."""
    watch = LoadWatch(client, manner.model, Progress(is_transient=True), f"loading {manner.model}")
    request = GenerateRequest(manner.model, options=manner.options, keep_alive_seconds=manner.keep_alive_seconds)
    try:
        watch.begin()
        for _ in client.generate(request):
            pass
    finally:
        watch.end()


def listen(records: Generator[ChatRecord | GenerateRecord, None, None], speaker: Speaker) -> None:
    """Show a whole answer; errors and interrupts pass through once what was shown is tidy."""
    with closing(records):
        try:
            speaker.begin()
            for record in records:
                speaker.hear(record)
        finally:
            speaker.finish()


class Speaker:
    """Shows the records of one answer and remembers what was said."""

    def __init__(self, manner: Manner, client: Client) -> None:
        is_terminal = render.is_output_terminal()
        self._manner = manner
        self._text = AnswerText(
            columns=render.terminal_columns() if manner.is_wrapped else None,
            is_dimmed=manner.is_dimmed,
            hide_thinking=manner.hide_thinking,
            is_safe=is_terminal,
            markdown_columns=render.terminal_columns() if manner.has_markdown and not manner.format else None,
        )
        self._end = "\n\n" if is_terminal else "\n"
        status = Progress(is_transient=True)
        self._waiting = LoadWatch(client, manner.model, status, "waiting for the model") if is_terminal else None
        self._content: list[str] = []
        self._thinking: list[str] = []
        self._last: ChatRecord | GenerateRecord | None = None

    @property
    def message(self) -> Message:
        """What the model has said so far."""
        return Message("assistant", "".join(self._content), "".join(self._thinking))

    @property
    def last(self) -> ChatRecord | GenerateRecord | None:
        """The latest piece of the answer; None before the first."""
        return self._last

    def begin(self) -> None:
        """Tell that the model is waited for."""
        if self._waiting is not None:
            self._waiting.begin()

    def hear(self, record: ChatRecord | GenerateRecord) -> None:
        """Show the next piece."""
        said = record.message if isinstance(record, ChatRecord) else record
        content = record.message.content if isinstance(record, ChatRecord) else record.response
        self._content.append(content)
        self._thinking.append(said.thinking)
        self._last = record
        shown = self._text.feed(said.thinking, content)
        if said.tool_calls:
            shown += self._text.end() + "".join(tool_call_text(call) + "\n" for call in said.tool_calls)
        if shown:
            self._end_waiting()
            render.write(shown)

    def finish(self) -> None:
        """Show what was held back and end the line."""
        self._end_waiting()
        if rest := self._text.end():
            render.write(rest)
        if any(self._content) or any(self._thinking):
            render.write(self._end)

    def _end_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.end()

    def tell_end(self) -> None:
        """Tell if the answer was cut, and print times and rates where they are wanted."""
        if self._last is None:
            return
        if cut := cut_words(self._last):
            render.note(cut)
        if self._manner.is_verbose:
            for text in statistics(self._last):
                render.note(text)
