"""Ollama's contract for Go prompt templates: functions, root values, one-turn templates, and fill-in-the-middle.

Source: https://github.com/ollama/ollama/blob/main/docs/template.mdx
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ollamapy.template.control import ControlTokens, Cover, merge_segments
from ollamapy.template.go.evaluate import Execution
from ollamapy.template.go.functions import ANY, BUILTINS, SPECIAL
from ollamapy.template.go.jsontext import json_text
from ollamapy.template.go.nodes import Action, Command, Field, Nodes, Pipe
from ollamapy.template.go.parser import ParsedTemplate, parse_template
from ollamapy.template.go.records import message_record, tool_records, typescript_type
from ollamapy.template.go.tree import cut_behind, names_used
from ollamapy.template.go.values import Function, Slice, Value
from ollamapy.types import Json, Message, Think
from ollamapy.wire import Segment

_SURROGATE = re.compile("[\ud800-\udfff]")
OLLAMA_FUNCTIONS = ("json", "currentDate", "yesterdayDate", "toTypeScriptType")


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A parsed prompt template; threads may share it. `names` are the fields that it mentions, in lower case."""

    parsed: ParsedTemplate
    last_turn: Nodes
    names: frozenset[str]
    control_tokens: ControlTokens

    @property
    def source(self) -> str:
        """The template's text."""
        return self.parsed.source


def go_template(source: str, *, control_tokens: Sequence[str] = ()) -> GoTemplate:
    """Parse a prompt template; `{{ .Response }}` is added if it mentions neither Messages nor Response.

    Raises TemplateError in Go's words, with the line.
    """
    parsed = parse_template(source, [*BUILTINS, *SPECIAL, *OLLAMA_FUNCTIONS])
    names = names_used(parsed.trees.values())
    if not names & {"messages", "response"}:
        end = len(source)
        pipe = Pipe(end, commands=[Command(end, [Field(end, ("Response",))])])
        parsed.root.nodes.append(Action(end, pipe))
        names |= {"response"}
    return GoTemplate(parsed, cut_behind(parsed.root, "Response"), names, ControlTokens(control_tokens))


def render_go_chat(
    template: GoTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Json]] = (),
    think: Think = None,
    now: datetime | None = None,
) -> tuple[Segment, ...]:
    """Return the prompt of a chat; text of messages and tools never becomes a control token.

    A template without Messages is executed once for each turn of system, prompt and response. Raises TemplateError
    if the template fails or exceeds its bounds.
    """
    run = _Rendering(template, think, now)
    system, collated = collate(messages)
    if "messages" in template.names:
        records = Slice("[]*api.Message", [message_record(message, run.cover) for message in collated])
        text = run.cover.text
        run.add({"System": text(system), "Messages": records, "Tools": tool_records(tools, run.cover), "Response": ""})
    else:
        run.add_turns(collated)
    return run.segments()


def render_go_infill(
    template: GoTemplate, prompt: str, suffix: str, *, think: Think = None, now: datetime | None = None
) -> tuple[Segment, ...]:
    """Return the prompt that asks for the text between `prompt` and `suffix`; raises TemplateError."""
    run = _Rendering(template, think, now)
    run.add({"Prompt": run.cover.text(prompt), "Suffix": run.cover.text(suffix), "Response": ""})
    return run.segments()


def collate(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """Return all system text, and the messages with neighbours of one role merged, save for tool results."""
    merged: list[Message] = []
    for message in messages:
        before = merged[-1] if merged else None
        if before is None or before.role != message.role or message.role == "tool":
            merged.append(message)
            continue
        merged[-1] = replace(
            before,
            content=f"{before.content}\n\n{message.content}",
            images=before.images + message.images,
            tool_calls=before.tool_calls + message.tool_calls,
        )
    return "\n\n".join(message.content for message in messages if message.role == "system"), merged


class _Rendering:
    """One prompt in the making: one execution of the template or several in a row."""

    def __init__(self, template: GoTemplate, think: Think, now: datetime | None) -> None:
        self.cover = Cover(template.control_tokens)
        self._template = template
        self._execution = Execution(template.parsed, ollama_functions(now or datetime.now().astimezone()))
        self._think: dict[str, Value] = {
            "Think": bool(think),
            "ThinkLevel": think if isinstance(think, str) else "medium" if think else "",
            "IsThinkSet": think is not None,
        }
        self._texts: list[str] = []

    def add(self, values: Mapping[str, Value], root: Nodes | None = None) -> None:
        """Execute the template once more."""
        text = self._execution.run({**values, **self._think}, root)
        self._texts.append(_SURROGATE.sub("\ufffd", text))

    def add_turns(self, messages: Sequence[Message]) -> None:
        """Execute the template for each turn; the last one ends behind the response, which the model continues."""
        turn = {"System": "", "Prompt": "", "Response": ""}
        for message in messages:
            ends_turn = turn["Response"] or (message.role == "system" and turn["Prompt"])
            if message.role in ("system", "user") and ends_turn:
                self.add(turn)
                turn = dict.fromkeys(turn, "")
            name = {"system": "System", "user": "Prompt", "assistant": "Response"}.get(message.role)
            if name is not None:
                turn[name] = self.cover.text(message.content)
        self.add(turn, self._template.last_turn)

    def segments(self) -> tuple[Segment, ...]:
        """Return the prompt so far."""
        return merge_segments(self.cover.segments("".join(self._texts)))


def ollama_functions(now: datetime) -> Mapping[str, Function]:
    """Return the functions that Ollama adds to Go's."""
    today, yesterday = now.date().isoformat(), (now - timedelta(days=1)).date().isoformat()
    return {
        "json": Function((ANY,), json_text),
        "currentDate": Function(("string",), lambda *_: today, variadic=True),
        "yesterdayDate": Function(("string",), lambda *_: yesterday, variadic=True),
        "toTypeScriptType": Function((ANY,), typescript_type),
    }
