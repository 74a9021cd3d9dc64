"""The Harmony format of gpt-oss: messages on channels, each `<|channel|>header<|message|>body<|end|>`.

Source: https://cookbook.openai.com/articles/openai-harmony
"""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from ollamapy.parsing.blocks import overlap
from ollamapy.parsing.call_stream import CallStream, named_head
from ollamapy.parsing.calls import Found, read_arguments, read_values
from ollamapy.parsing.part import Part, PartBuilder

MARKS = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>")
_MESSAGE = "<|message|>"
_HEADER_STARTS = ("<|", "to=")
_ENDS = ("<|end|>", "<|call|>", "<|return|>", "<|start|>")
_END = re.compile("|".join(map(re.escape, _ENDS)))
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.:-]+)")


class HarmonyParser:
    """Text to thinking (analysis), content (final, and commentary to nobody) and calls (to a function)."""

    def __init__(self, rng: Random, prompt_tail: str = "") -> None:
        self._out = PartBuilder(rng)
        self._thinking = ""
        self._buffer = ""
        self._in_body = prompt_tail.endswith(_MESSAGE)
        opened = _CHANNEL.findall(prompt_tail) if self._in_body else []
        self._channel = opened[-1] if opened else "final"
        self._recipient = ""
        self._stream = CallStream(None)

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""
        self._buffer += text
        while self._step(final=False):
            pass
        return self._take()

    def close(self) -> Part:
        """Return the rest; a call that is cut off comes out as text, a header that is cut off not at all."""
        while self._step(final=True):
            pass
        if self._in_body and self._recipient:
            self._finish_call(self._buffer)
        elif not self._buffer.lstrip().startswith(_HEADER_STARTS):
            self._out.text(self._buffer)
        self._buffer = ""
        self._out.flush()
        return self._take()

    def _take(self) -> Part:
        part = self._out.take()
        thinking, self._thinking = self._thinking, ""
        return replace(part, thinking=thinking)

    def _step(self, *, final: bool) -> bool:
        return self._read_body(final=final) if self._in_body else self._read_header()

    def _read_header(self) -> bool:
        head = self._buffer.lstrip()
        if not any(head.startswith(mark) or mark.startswith(head) for mark in _HEADER_STARTS):
            self._enter("final", "")
            return True
        header, found, rest = self._buffer.partition(_MESSAGE)
        if not found:
            return False
        channel, recipient = _CHANNEL.search(header), _RECIPIENT.search(header)
        self._buffer = rest
        self._enter(channel[1] if channel else "final", recipient[1] if recipient else "")
        return True

    def _enter(self, channel: str, recipient: str) -> None:
        self._in_body, self._channel, self._recipient = True, channel, recipient
        self._stream = CallStream(named_head(recipient) if recipient else None)

    def _read_body(self, *, final: bool) -> bool:
        end = _END.search(self._buffer)
        stop = end.start() if end else len(self._buffer)
        if end is None and not final:
            stop -= max(overlap(self._buffer, mark) for mark in _ENDS)
        if self._recipient:
            self._out.write(self._stream, self._buffer, stop)
        if self._recipient and end is None:
            return False
        body = self._buffer[:stop]
        if self._recipient:
            self._finish_call(body)
        elif self._channel == "analysis":
            self._thinking += body
        else:
            self._out.text(body)
        self._buffer = self._buffer[stop if end is None else end.end() :]
        self._in_body = end is None
        return end is not None

    def _finish_call(self, body: str) -> None:
        values = read_values(body) if body.strip() else [{}]
        arguments = read_arguments(values[0]) if values is not None and len(values) == 1 else None
        if arguments is None:
            self._out.abandon()
            self._out.text(body)
        else:
            self._out.call(Found(self._recipient, arguments))
