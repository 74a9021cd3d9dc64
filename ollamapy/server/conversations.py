"""Keeps the conversations that the Responses API may go on with, within bounds and in memory alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ollamapy.types import Message

MOST_CONVERSATIONS = 1000
MOST_BYTES = 64 << 20
MESSAGE_BYTES = 200  # of a message without any text


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that was said up to a response, which is part of it; `response` is its JSON text."""

    messages: tuple[Message, ...]
    response: bytes

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.response) + sum(map(_size_bytes, self.messages))


class Conversations:
    """The conversations used last, by the id of their response."""

    def __init__(self, most: int = MOST_CONVERSATIONS, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Conversation] = OrderedDict()
        self._size_bytes = 0

    def keep(self, response_id: str, messages: Sequence[Message], response: bytes) -> None:
        """Keep a conversation; those that were not used for the longest time make room."""
        conversation = Conversation(tuple(messages), response)
        self._kept[response_id] = conversation
        self._size_bytes += conversation.size_bytes
        while len(self._kept) > self._most or self._size_bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size_bytes -= dropped.size_bytes

    def find(self, response_id: str) -> Conversation | None:
        """Return a conversation; None where it was never kept, or made room."""
        conversation = self._kept.get(response_id)
        if conversation is not None:
            self._kept.move_to_end(response_id)
        return conversation

    def forget(self, response_id: str) -> bool:
        """Drop a conversation and return whether it was there."""
        conversation = self._kept.pop(response_id, None)
        if conversation is None:
            return False
        self._size_bytes -= conversation.size_bytes
        return True


def _size_bytes(message: Message) -> int:
    calls = sum(MESSAGE_BYTES + len(str(call.arguments)) for call in message.tool_calls)
    texts = 4 * (len(message.content) + len(message.thinking) + sum(map(len, message.parts)))
    return MESSAGE_BYTES + texts + calls + sum(map(len, message.images))
