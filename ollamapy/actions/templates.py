"""Compiles prompt templates, Jinja or Go, and keeps them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ollamapy import wire
from ollamapy.actions.pictures import Marks
from ollamapy.errors import TemplateError, UnsupportedError
from ollamapy.parsing.choice import is_go_template
from ollamapy.template.go.ollama import GoTemplate, go_template, render_go_chat, render_go_infill
from ollamapy.template.prompt import ChatTemplate, chat_template, render_chat
from ollamapy.types import Json, Message, Think

CACHED_TEMPLATES = 32


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A compiled template of either kind; threads may share it."""

    compiled: ChatTemplate | GoTemplate

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Json]] = (),
        think: Think = None,
        extra: Mapping[str, Json] | None = None,
    ) -> tuple[wire.Segment, ...]:
        """Return the prompt of a chat with its pictures; blocks while it is rendered. Raises TemplateError."""
        if any(message.images for message in messages):
            marks = Marks()
            return marks.place(self._render(marks.mark(messages), tools, think, extra))
        return self._render(messages, tools, think, extra)

    def _render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Json]],
        think: Think,
        extra: Mapping[str, Json] | None,
    ) -> tuple[wire.Segment, ...]:
        if isinstance(self.compiled, GoTemplate):
            return render_go_chat(self.compiled, messages, tools=tools, think=think)
        return render_chat(self.compiled, messages, tools=tools, think=think, extra=extra)

    def infill(self, prompt: str, suffix: str, think: Think = None) -> tuple[wire.Segment, ...]:
        """Return the prompt that asks for the text between two others; raises TemplateError, UnsupportedError."""
        if not isinstance(self.compiled, GoTemplate):
            raise UnsupportedError("the model's template has no place for a suffix; leave it out")
        return render_go_infill(self.compiled, prompt, suffix, think=think)


class TemplateCache:
    """The templates used last, by their text and the vocabulary that they write."""

    def __init__(self) -> None:
        self._templates: OrderedDict[tuple[str, str, str, tuple[str, ...]], PromptTemplate] = OrderedDict()

    async def get(self, source: str, ready: wire.Ready) -> PromptTemplate:
        """Return the compiled template, in whose text `ready` says what is a control token; raises TemplateError."""
        key = (source, ready.bos_token, ready.eos_token, tuple(ready.control_tokens))
        if key not in self._templates:
            self._templates[key] = await asyncio.to_thread(compile_template, *key)
        self._templates.move_to_end(key)
        while len(self._templates) > CACHED_TEMPLATES:
            self._templates.popitem(last=False)
        return self._templates[key]


def compile_template(
    source: str, bos_token: str = "", eos_token: str = "", control_tokens: Sequence[str] = ()
) -> PromptTemplate:
    """Compile a template; blocks for some milliseconds. Raises TemplateError."""
    if is_go_template(source):
        return PromptTemplate(go_template(source, control_tokens=control_tokens))
    return PromptTemplate(
        chat_template(source, bos_token=bos_token, eos_token=eos_token, control_tokens=control_tokens)
    )


def check_template(source: str) -> None:
    """Raise TemplateError where a template does not parse; blocks."""
    try:
        compile_template(source)
    except TemplateError as exc:
        raise TemplateError(f"template error: {exc.message}") from exc
