"""Decides which turns of a chat to leave out when all of it does not fit: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ollamapy.types import Message


def droppable_groups(messages: Sequence[Message]) -> list[tuple[int, ...]]:
    """Return what may be left out, oldest first, as groups of indices that only make sense together.

    1. Before the last user message: a user message with all that answers it, whatever precedes the first one alone.
    2. After it: a tool round trip (the calls and their results) that another one follows.
    System messages and the last user message are in no group.
    """
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    last = users[-1] if users else len(messages)
    groups = _split(messages, range(last), starts=lambda message: message.role == "user")
    trips = _split(messages, range(last + 1, len(messages)), starts=lambda message: message.role != "tool")
    return groups + trips[:-1]


def without_groups(messages: Sequence[Message], groups: Sequence[tuple[int, ...]]) -> tuple[Message, ...]:
    """Return the messages that are in none of the groups."""
    dropped = {index for group in groups for index in group}
    return tuple(message for index, message in enumerate(messages) if index not in dropped)


def _split(messages: Sequence[Message], indices: range, *, starts: Callable[[Message], bool]) -> list[tuple[int, ...]]:
    groups: list[list[int]] = []
    for index in indices:
        if messages[index].role == "system":
            continue
        if not groups or starts(messages[index]):
            groups.append([])
        groups[-1].append(index)
    return [tuple(group) for group in groups]
