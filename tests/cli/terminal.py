"""A process on a pseudo-terminal, read and typed to as a person does."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 60.0
AGAIN_SECONDS = 0.5


class Terminal:
    """Use as a context manager: the process is gone at its end."""

    def __init__(self, argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        try:
            self.process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=dict(environ)
            )
        finally:
            os.close(slave)
        self.seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C once."""
        self.process.send_signal(signal.SIGINT)

    def interrupt_until(self, text: str) -> str:
        """Press Ctrl-C until this text appears: line editing overlooks an interrupt that comes between two keys."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen and time.monotonic() < deadline:
            self.interrupt()
            self._read_more(time.monotonic() + AGAIN_SECONDS)
        return self.read_until(text)

    def read_until(self, text: str) -> str:
        """Return what appears up to and with this text; what follows is left for the next call."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen:
            if not self._read_more(deadline):
                raise AssertionError(f"{text!r} did not appear; there is {self.seen!r}")
        end = self.seen.index(text) + len(text)
        before, self.seen = self.seen[:end], self.seen[end:]
        return before

    def read_to_end(self) -> tuple[str, int]:
        """Return what appears until the process ends, and its exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read_more(deadline):
            pass
        return self.seen, self.process.wait(PATIENCE_SECONDS)

    def _read_more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        try:
            piece = os.read(self._master, 65536) if ready else b""
        except OSError:  # Linux says so when the other side has closed
            piece = b""
        self.seen += piece.decode("utf-8", "replace")
        return bool(piece)
