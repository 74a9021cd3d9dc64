"""Messages and tools as chat templates read them: dictionaries in OpenAI's form, with user text covered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollamapy.template.control import Cover
from ollamapy.types import Json, Message, ToolCall

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a template deviates in from the common form, found out by probing it."""

    lists_no_tools: bool = False  # the absence of tools is an empty list, not None
    typed_content: bool = False  # content is a list of {"type": "text", "text": …}
    reads_parts: bool = False  # content may be such a list
    thinking_part: bool = False  # thinking is {"type": "thinking", "thinking": …} within such a list
    folds_system: bool = False  # no system role: its text goes in front of the first user message
    none_content: bool = False  # an assistant that only calls tools has None as content
    arguments_as_text: bool = False  # tool call arguments are JSON text, not an object
    needs_ids: bool = False  # tool calls and results must have ids
    short_ids: bool = False  # ids must be nine letters or digits


def chat_messages(messages: Sequence[Message], traits: Traits, cover: Cover) -> list[dict[str, Any]]:
    """Return the messages as a template with these traits expects them."""
    if traits.folds_system:
        messages = fold_system(messages)
    if traits.needs_ids:
        messages = fill_ids(messages)
    return [_as_dict(message, traits, cover) for message in messages]


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the system's text in front of the next user message."""
    folded: list[Message] = []
    pending: list[str] = []
    for message in messages:
        if message.role == "system":
            pending.append(message.content)
        elif message.role == "user" and pending:
            folded.append(replace(message, content="\n\n".join((*pending, message.content))))
            pending = []
        else:
            folded.append(message)
    return [*folded, Message("user", "\n\n".join(pending))] if pending else folded


def fill_ids(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with an id on every tool call and on every tool result that follows a call."""
    filled: list[Message] = []
    open_calls: list[ToolCall] = []
    count = 0
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                calls.append(call if call.id else replace(call, id=f"call{count:05d}"))
                count += 1
            open_calls = list(calls)
            filled.append(replace(message, tool_calls=tuple(calls)))
        elif message.role == "tool" and not message.tool_call_id and open_calls:
            named = [call for call in open_calls if call.name == message.tool_name]
            answered = (named or open_calls)[0]
            open_calls.remove(answered)
            filled.append(replace(message, tool_call_id=answered.id))
        else:
            filled.append(message)
    return filled


def _as_dict(message: Message, traits: Traits, cover: Cover) -> dict[str, Any]:
    content = _content(message, traits, cover)
    # a role is a template's word: `<|user|>` is made from it on purpose, so only whole tokens are covered
    found: dict[str, Any] = {"role": cover.text(message.role, edges=False), "content": content}
    if message.thinking:
        found["thinking"] = found["reasoning_content"] = cover.text(message.thinking)
    if message.tool_calls:
        found["tool_calls"] = [_call_as_dict(call, traits, cover) for call in message.tool_calls]
    if message.tool_name:
        found["name"] = cover.text(message.tool_name)
    if message.tool_call_id:
        found["tool_call_id"] = cover.text(_id(message.tool_call_id, traits))
    return found


def _content(message: Message, traits: Traits, cover: Cover) -> Json:
    has_thinking = bool(message.thinking) and traits.thinking_part
    if not message.content and not has_thinking and message.tool_calls and traits.none_content:
        return None
    if not (traits.typed_content or has_thinking or (traits.reads_parts and message.parts)):
        return cover.text(message.content)
    texts = message.parts or ((message.content,) if message.content else ())
    content: list[Json] = [{"type": "text", "text": cover.text(text)} for text in texts]
    if has_thinking:
        content.insert(0, {"type": "thinking", "thinking": cover.text(message.thinking)})
    return content


def _call_as_dict(call: ToolCall, traits: Traits, cover: Cover) -> dict[str, Any]:
    arguments = cover.value(call.arguments)
    if traits.arguments_as_text:
        arguments = json.dumps(arguments, ensure_ascii=False)
    found: dict[str, Any] = {"type": "function", "function": {"name": cover.text(call.name), "arguments": arguments}}
    if call.id:
        found["id"] = cover.text(_id(call.id, traits))
    return found


def _id(text: str, traits: Traits) -> str:
    if not traits.short_ids or _SHORT_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:9]


def tool_definitions(tools: Sequence[Mapping[str, Json]], traits: Traits, cover: Cover) -> list[Json] | None:
    """Return the tools as a template with these traits reads them: None for no tools, as Hugging Face passes it."""
    return [cover.value(tool) for tool in tools] or ([] if traits.lists_no_tools else None)
