"""The Harmony format of gpt-oss: messages on channels, each `<|channel|>header<|message|>body<|end|>`.

Source: https://cookbook.openai.com/articles/openai-harmony
"""

from __future__ import annotations

import re
from random import Random

from ollamapy.parsing.blocks import overlap
from ollamapy.parsing.call_stream import CallStream, named_head
from ollamapy.parsing.calls import Found, read_arguments, read_values
from ollamapy.parsing.part import StepParser

MARKS = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>")
_MESSAGE = "<|message|>"
MAX_HEADER_CHARS = 512
_HEADER_STARTS = ("<|", "to=")
_ENDS = ("<|end|>", "<|call|>", "<|return|>", "<|start|>")
_END = re.compile("|".join(map(re.escape, _ENDS)))
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.:-]+)")


class HarmonyParser(StepParser):
    """Text to thinking (analysis), content (final, and commentary to nobody) and calls (to a function).

    A call that is cut off comes out as text, a header that is cut off not at all, and one that has no end as text.
    """

    def __init__(self, rng: Random, prompt_tail: str = "") -> None:
        super().__init__(rng)
        self._in_body = prompt_tail.endswith(_MESSAGE)
        opened = _CHANNEL.findall(prompt_tail) if self._in_body else []
        self._channel = opened[-1] if opened else "final"
        self._recipient = ""
        self._stream = CallStream(None)

    def _step(self, *, final: bool) -> bool:
        return self._read_body(final=final) if self._in_body else self._read_header()

    def _finish(self) -> None:
        if self._in_body and self._recipient:
            self._finish_call(self._buffer)
        elif not self._buffer.lstrip().startswith(_HEADER_STARTS):
            self._out.text(self._buffer)

    def _read_header(self) -> bool:
        head = self._buffer.lstrip()
        is_header = any(head.startswith(mark) or mark.startswith(head) for mark in _HEADER_STARTS)
        header, found, rest = self._buffer[:MAX_HEADER_CHARS].partition(_MESSAGE)
        if not is_header or (not found and len(self._buffer) >= MAX_HEADER_CHARS):
            self._enter("final", "")
            return True
        if not found:
            return False
        rest += self._buffer[MAX_HEADER_CHARS:]
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
            self._out.think(body)
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
