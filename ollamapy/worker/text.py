"""From token bytes to text that may be given out: whole characters, and nothing that could still be a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Decodes UTF-8 across token boundaries and ends at the first stop string.

    A trailing part that may still grow into a stop string is held back. Once `stopped_by` is set, nothing more comes.
    """

    __slots__ = ("_decoder", "_held", "_is_inside", "_stop", "stop_heads", "stopped_by")

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(s for s in stop if s)
        self.stop_heads = frozenset(s[0] for s in self._stop)
        self._is_inside = False  # of a character
        self._held = ""
        self.stopped_by: str | None = None

    @property
    def is_clear(self) -> bool:
        """Whether whole characters without any of `stop_heads` would be given out as they are, and change nothing."""
        return not self._is_inside and not self._held and self.stopped_by is None

    def feed(self, piece: bytes) -> str:
        """Take a token's bytes and return the text that is now certain."""
        text = self._decoder.decode(piece)
        self._is_inside = bool(self._decoder.getstate()[0])
        return self._release(text, final=False)

    def close(self) -> str:
        """Return what was held back; an incomplete character comes out as U+FFFD."""
        return self._release(self._decoder.decode(b"", final=True), final=True)

    def _release(self, text: str, *, final: bool) -> str:
        if self.stopped_by is not None:
            return ""
        if not self._stop:
            return text
        pending = self._held + text
        hits = [(at, -len(stop), stop) for stop in self._stop if (at := pending.find(stop)) >= 0]
        if hits:
            at, _, self.stopped_by = min(hits)
            self._held = ""
            return pending[:at]
        keep = 0 if final else max(_overlap(pending, stop) for stop in self._stop)
        cut = len(pending) - keep
        self._held = pending[cut:]
        return pending[:cut]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
