"""The format of Functionary 3.2: `>>>recipient`, a line break, and text for all or the JSON arguments of a function."""

from __future__ import annotations

from random import Random

from ollamapy.parsing.blocks import overlap
from ollamapy.parsing.call_stream import CallStream, named_head
from ollamapy.parsing.calls import Found, read_arguments, read_values
from ollamapy.parsing.part import StepParser

MARK = ">>>"
_ALL = "all"


class RecipientParser(StepParser):
    """Text to content (for all) and calls (for a function); the prompt has written the first mark already.

    Arguments that are cut off come out as text.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._recipient: str | None = None  # None within a header
        self._stream = CallStream(None)

    def _step(self, *, final: bool) -> bool:
        if self._recipient is None:
            return self._read_header(final=final)
        return self._read_body(self._recipient, final=final)

    def _read_header(self, *, final: bool) -> bool:
        header, found, rest = self._buffer.removeprefix(MARK).partition("\n")
        if not found:
            if final:
                self._out.text(self._buffer)
                self._buffer = ""
            return False
        self._recipient, self._buffer = header.strip(), rest
        self._stream = CallStream(named_head(self._recipient))
        return True

    def _read_body(self, recipient: str, *, final: bool) -> bool:
        body, found, rest = self._buffer.partition(MARK)
        is_whole = bool(found) or final
        if recipient != _ALL:
            self._out.write(self._stream, body, len(body) - (0 if is_whole else overlap(body, MARK)))
            if not is_whole:
                return False
            self._finish_call(recipient, body)
        else:
            kept = 0 if is_whole else overlap(body, MARK)
            self._out.text(body[: len(body) - kept])
            rest = rest if found else body[len(body) - kept :]
        self._buffer = rest
        if is_whole:
            self._recipient = None
        return bool(found)

    def _finish_call(self, name: str, body: str) -> None:
        values = read_values(body) if body.strip() else [{}]
        arguments = read_arguments(values[0]) if values is not None and len(values) == 1 else None
        if arguments is None:
            self._out.abandon()
            self._out.text(f"{name}\n{body}")
        else:
            self._out.call(Found(name, arguments))
