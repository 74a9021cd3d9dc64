"""What a worker wrote to its standard error: logged line by line, its end kept for error messages."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

LOG_TAIL_BYTES = 64 << 10
LAST_LINES = 20  # an older complaint has little to do with the end

_log = logging.getLogger("ollamapy.worker")
_COMPLAINT = re.compile(
    r"warning|error|critical|fatal|fail|abort|assert|exception|terminate|killed|out of memory|can't|cannot|unable",
    re.IGNORECASE,
)
_SHORTAGE = re.compile(
    r"(failed|unable) to (allocate|reserve)|out of memory|insufficient memory|cannot allocate memory|std::bad_alloc",
    re.IGNORECASE,
)
_OWN_WARNING = re.compile(rb"WARNING ollamapy\.[\w.]+: (.*)", re.S)
_CALM = re.compile(r"\s*(INFO|DEBUG)\b")
_FOLDERS = re.compile(r"(?<![\w./])~?/(?!/)(?:[^\s/'\"]+/)+")


class LogTail:
    """The last 64 KiB of a log; its lines go to the logger `ollamapy.worker`, all but our warnings at debug level."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._line = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes, wherever they were cut."""
        self._tail += data
        del self._tail[:-LOG_TAIL_BYTES]
        *lines, rest = (self._line + data).split(b"\n")
        for line in lines:
            if own := _OWN_WARNING.match(line):
                _log.warning("%s", own[1].decode("utf-8", "replace").rstrip())
            elif _log.isEnabledFor(logging.DEBUG):
                _log.debug("%s", line.decode("utf-8", "replace").rstrip())
        self._line = rest[-LOG_TAIL_BYTES:]

    @property
    def text(self) -> str:
        """The tail as text."""
        return self._tail.decode("utf-8", "replace")


def without_folders(text: str, known_paths: Sequence[str] = ()) -> str:
    """Return the text with absolute paths cut to their last part; the known ones even where they contain spaces."""
    for path in known_paths:
        text = text.replace(path, Path(path).name)
    return _FOLDERS.sub("", text)


def last_words(log_tail: str) -> str:
    """Return the last complaint near the end of a log, at most 300 characters, or an empty string."""
    lines = log_tail.strip().splitlines()[-LAST_LINES:]
    complaints = (line.strip() for line in reversed(lines) if _COMPLAINT.search(line) and not _CALM.match(line))
    return next(complaints, "")[:300]


def tells_shortage(text: str) -> bool:
    """Whether a complaint of llama.cpp's, or of the system's, is that memory ran out."""
    return _SHORTAGE.search(text) is not None
