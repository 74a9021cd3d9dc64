"""What the turns of a chat tell about each other, whichever API they came in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ollamapy.types import Message


def with_tool_names(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages, those of tools with the name of the function whose call they answer."""
    names: dict[str, str] = {}  # by the call's id
    found: list[Message] = []
    for message in messages:
        if message.tool_calls:
            names.update((call.id, call.name) for call in message.tool_calls if call.id)
        if message.role == "tool" and not message.tool_name and message.tool_call_id in names:
            found.append(replace(message, tool_name=names[message.tool_call_id]))
        else:
            found.append(message)
    return tuple(found)
