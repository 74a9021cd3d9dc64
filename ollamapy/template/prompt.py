"""From a chat to the segments of its prompt, with the chat template of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ollamapy.errors import TemplateError
from ollamapy.template.bounds import Bounds, Meter
from ollamapy.template.control import ControlTokens, Cover, merge_segments
from ollamapy.template.jinja import JinjaTemplate
from ollamapy.template.messages import Traits, chat_messages, tool_definitions
from ollamapy.template.sandbox import date_formatter
from ollamapy.template.thinking import think_variables
from ollamapy.template.traits import PROBE_SECONDS, failing_as_none, find_traits
from ollamapy.types import Json, Message, Think
from ollamapy.wire import Segment

RESERVED = frozenset({"messages", "tools", "bos_token", "eos_token", "add_generation_prompt"})


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A compiled chat template with the texts of the vocabulary that it writes; threads may share it."""

    jinja: JinjaTemplate
    bos_token: str
    eos_token: str
    control_tokens: ControlTokens
    traits: Traits = field(default_factory=Traits)

    @property
    def source(self) -> str:
        """The template's text."""
        return self.jinja.source


def chat_template(
    source: str, *, bos_token: str = "", eos_token: str = "", control_tokens: Sequence[str] = ()
) -> ChatTemplate:
    """Compile a Jinja chat template and find out how it wants its messages.

    Takes a few milliseconds, so callers keep the result. Raises TemplateError for a template that does not parse or
    is too slow.
    """
    tokens = ControlTokens(control_tokens)
    plain = ChatTemplate(JinjaTemplate(source), bos_token, eos_token, tokens)
    meter = Meter(Bounds(seconds=PROBE_SECONDS, forgives=False))

    def render(messages: Sequence[Message], traits: Traits) -> str:
        variables = _variables(plain, Cover(tokens), messages, traits)
        return plain.jinja.render(variables, meter)

    traits = find_traits(failing_as_none(render))
    meter.step()  # raises if the probes together were too slow, so that a busy machine never guesses wrong traits
    return ChatTemplate(plain.jinja, bos_token, eos_token, tokens, traits)


def render_chat(
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Json]] = (),
    think: Think = None,
    add_generation_prompt: bool = True,
    extra: Mapping[str, Json] | None = None,
    now: datetime | None = None,
) -> tuple[Segment, ...]:
    """Return the prompt of a chat; text of messages and tools never becomes a control token.

    A last message of the assistant is left open for the model to continue. `extra` holds further variables for the
    template and wins over what `think` sets. Blocks for at most two seconds on a hostile template. Raises
    TemplateError if the template fails, refuses the chat or exceeds its bounds.
    """
    cover = Cover(template.control_tokens)
    opening = ""
    if add_generation_prompt and len(messages) > 1 and _is_open(messages[-1]):
        messages, opening = messages[:-1], messages[-1].content
    variables = _variables(template, cover, messages, template.traits)
    now = now or datetime.now().astimezone()
    variables |= {
        **think_variables(think, template.source),
        "tools": tool_definitions(tools, template.traits, cover),
        "add_generation_prompt": add_generation_prompt,
        **_date_variables(now),
        **_extra_variables(extra or {}, cover),
    }
    rendered = template.jinja.render(variables)
    return merge_segments((*cover.segments(rendered), *cover.segments(cover.text(opening))))


def _is_open(message: Message) -> bool:
    return message.role == "assistant" and bool(message.content) and not message.tool_calls


def _variables(template: ChatTemplate, cover: Cover, messages: Sequence[Message], traits: Traits) -> dict[str, Any]:
    return {
        "messages": chat_messages(messages, traits, cover),
        "tools": tool_definitions((), traits, cover),
        "bos_token": template.bos_token,
        "eos_token": template.eos_token,
        "add_generation_prompt": True,
        **_date_variables(datetime(2025, 1, 1).astimezone()),
    }


def _date_variables(now: datetime) -> dict[str, Any]:
    """Return the date in the ways that templates ask for it: Llama 3.1's `date_string`, FireFunction's `datetime`."""
    date_string = f"{now:%d %b %Y}"
    return {"strftime_now": date_formatter(now), "date_string": date_string, "datetime": f"{now:%b %d %Y}"}


def _extra_variables(extra: Mapping[str, Json], cover: Cover) -> dict[str, Json]:
    for name in extra:
        if name in RESERVED:
            raise TemplateError(f"the template argument {name!r} can't be set; it comes from the request itself")
    return {name: cover.value(value) for name, value in extra.items()}
