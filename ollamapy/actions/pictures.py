"""Where pictures stand in a prompt: a mark in the message's text, which no user can guess, becomes the picture."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace

from ollamapy.errors import UnsupportedError
from ollamapy.types import Message
from ollamapy.wire import Segment

_TAG = re.compile(r"\[img(?:-(\d+))?\]")  # how a raw prompt says where a picture goes: Ollama's tags


class Marks:
    """The marks of one prompt's pictures."""

    def __init__(self) -> None:
        self._secret = secrets.token_hex(12)
        self._pictures: list[bytes] = []
        self._mark = re.compile(rf"\[picture-{self._secret}-(\d+)\]")

    def mark(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with the marks of their pictures in front of their text."""
        return [self._marked(message) if message.images else message for message in messages]

    def _marked(self, message: Message) -> Message:
        marks = "\n".join(map(self.add, message.images))
        content = f"{marks}\n{message.content}" if message.content else marks
        return replace(message, content=content, images=(), parts=())

    def add(self, picture: bytes) -> str:
        """Return a mark for one more picture."""
        self._pictures.append(picture)
        return f"[picture-{self._secret}-{len(self._pictures) - 1}]"

    def place(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Put the pictures where their marks are; raises UnsupportedError where the template left one out."""
        found: list[Segment] = []
        n_placed = 0
        for segment in segments:
            pieces = self._mark.split(segment.text)
            for index, piece in enumerate(pieces):
                if index % 2:
                    found.append(Segment("", special=False, image=self._pictures[int(piece)]))
                    n_placed += 1
                elif piece or len(pieces) == 1:
                    found.append(Segment(piece, segment.special))
        if n_placed < len(self._pictures):
            raise UnsupportedError("the model's prompt template leaves a picture out; send it in a user's message")
        return tuple(found)


def place_tagged(prompt: str, pictures: Sequence[bytes]) -> tuple[Segment, ...]:
    """Return a raw prompt with its pictures at the tags `[img-0]` or `[img]`, those without a tag in front."""
    marks = Marks()
    left = dict(enumerate(map(marks.add, pictures)))

    def put(tag: re.Match[str]) -> str:
        number = int(tag[1]) if tag[1] else min(left, default=-1)
        return left.pop(number, tag[0])

    text = _TAG.sub(put, prompt)
    return marks.place((Segment("".join(left[number] for number in sorted(left)) + text),))


def has_pictures(segments: Sequence[Segment]) -> bool:
    """Return whether a prompt has a picture in it."""
    return any(segment.image for segment in segments)
