"""The format of Kimi K3: nested `<|open|>tag key="value"<|sep|>` and `<|close|>tag<|sep|>`, with channels and calls."""

from __future__ import annotations

import html
import re
from random import Random

from ollamapy.parsing.blocks import overlap
from ollamapy.parsing.calls import Found, read_arguments, read_values
from ollamapy.parsing.part import StepParser
from ollamapy.types import Json

MARKS = ("<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>")
MAX_TAG_CHARS = 1024
_SEP = "<|sep|>"
_TAG_STARTS = ("<|open|>", "<|close|>", "<|end_of_msg|>")
_START = re.compile("|".join(map(re.escape, _TAG_STARTS)))
_OPENED = re.compile(r"<\|open\|>(\w+)[^<]*<\|sep\|>\s*\Z")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


class XtmlParser(StepParser):
    """Text to thinking (think), content (response) and calls (call, with an argument each or JSON).

    A call that is cut off comes out as text, a tag that is cut off not at all, and one that has no end as text.
    """

    def __init__(self, rng: Random, prompt_tail: str = "") -> None:
        super().__init__(rng)
        opened = _OPENED.search(prompt_tail)
        self._tag = opened[1] if opened else "response"
        self._attributes: dict[str, str] = {}
        self._value = ""
        self._name = ""
        self._arguments: dict[str, Json] | None = None  # of the call that is open
        self._raw = ""  # its text

    def _step(self, *, final: bool) -> bool:
        start = _START.search(self._buffer)
        stop = start.start() if start else len(self._buffer)
        if start is None and not final:
            stop -= max(overlap(self._buffer, mark) for mark in _TAG_STARTS)
        self._take_text(self._buffer[:stop])
        self._raw += self._buffer[:stop]
        self._buffer = self._buffer[stop:]
        if start is None:
            return False
        if start[0] == "<|end_of_msg|>":
            self._buffer = self._buffer[len(start[0]) :]
            return True
        tag, found, _ = self._buffer[len(start[0]) : MAX_TAG_CHARS].partition(_SEP)
        if not found and len(self._buffer) >= MAX_TAG_CHARS:
            self._take_text(start[0])
            self._raw += start[0]
            self._buffer = self._buffer[len(start[0]) :]
            return True
        if not found:
            return False
        self._buffer = self._buffer[len(start[0]) + len(tag) + len(_SEP) :]
        self._raw += start[0] + tag + _SEP
        if start[0] == "<|open|>":
            self._open(tag)
        else:
            self._close(tag.strip())
        if self._arguments is None:
            self._raw = ""
        return True

    def _finish(self) -> None:
        if self._arguments is not None:
            self._out.text(self._raw + self._buffer)
        self._give_stray()

    def _give_stray(self) -> None:
        """Give out text that stands in no channel and no call, as an answer that forgot its tag does."""
        if self._arguments is None and self._value.strip():
            self._out.text(self._value)

    def _take_text(self, text: str) -> None:
        if self._tag == "think":
            self._out.think(text)
        elif self._tag == "response":
            self._out.text(text)
        else:
            self._value += text

    def _open(self, tag: str) -> None:
        self._give_stray()
        name, _, attributes = tag.strip().partition(" ")
        self._tag, self._value = name, ""
        self._attributes = {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(attributes)}
        if name == "call":
            self._name, self._arguments = self._attributes.get("tool", ""), {}
            self._raw = f"<|open|>{tag}{_SEP}"

    def _close(self, tag: str) -> None:
        self._give_stray()
        if tag == "argument" and self._arguments is not None:
            values = None if self._attributes.get("type") == "string" else read_values(self._value)
            self._arguments[self._attributes.get("key", "")] = values[0] if values else self._value
        elif tag == "json" and self._arguments is not None:
            values = read_values(self._value)
            self._arguments = (read_arguments(values[0]) if values else None) or {}
        elif tag == "call" and self._arguments is not None and self._name:
            self._out.call(Found(self._name, self._arguments))
            self._arguments = None
        self._value = ""
        self._tag = "" if tag in ("think", "response", "argument", "json", "call", "tools") else self._tag
