"""Tells how far a load is while a command waits for its model."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from ollamapy.cli import render
from ollamapy.client import Client
from ollamapy.dialects.native import LoadedListRecord
from ollamapy.errors import OllamapyError

POLL_SECONDS = 0.5


class LoadWatch:
    """Keeps a status line up to date from a thread of its own, as long as the block lasts or until `end`."""

    def __init__(self, client: Client, model: str, status: render.StatusLine, label: str) -> None:
        self._client, self._model, self._status, self._label = client, model, status, label
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load-watch", daemon=True)
        status.show(label)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Wipe the line; nothing is written by the watch afterwards."""
        if not self._is_over.is_set():
            self._is_over.set()
            self._thread.join()
            self._status.end()

    def _run(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            try:
                found = self._client.ps()
            except OllamapyError:
                continue  # the request itself will tell what is wrong
            if not self._is_over.is_set():
                self._status.show(self._label, load_text(found, self._model))


def load_text(found: LoadedListRecord, model: str) -> str:
    """Return in a few words how far the load of a model is; "" where it is loaded or nobody waits for it."""
    name = full_name(model)
    for loaded in found.models:
        if loaded.name == name and loaded.state == "loading":
            return f"({loaded.progress:.0%})"
    waiting = next((request for request in found.waiting if request.model == name), None)
    return f"({waiting.reason})" if waiting else ""


def full_name(model: str) -> str:
    """Return a name with its tag, as the daemon lists it."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"
