"""Tells how far a load is while a command waits for its model."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ollamapy.cli import render
from ollamapy.cli.progress import Progress
from ollamapy.client import Client
from ollamapy.dialects.native import LoadedListRecord, LoadedRecord
from ollamapy.errors import OllamapyError

POLL_SECONDS = 0.5


class LoadWatch:
    """Keeps what is told of a load up to date from a thread of its own, from `begin` to `end`.

    An interrupt can come between any two lines: whoever makes a watch ends it, whether it has begun or not.
    """

    def __init__(self, client: Client, model: str, status: Progress, label: str) -> None:
        self._client, self._model, self._status, self._label = client, model, status, label
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load-watch", daemon=True)

    def begin(self) -> None:
        """Write the line, and keep it up to date where a person reads it."""
        self._status.show(self._label)
        if render.is_error_terminal():
            self._thread.start()

    def end(self) -> None:
        """Wipe the line; nothing is written by the watch afterwards."""
        if not self._is_over.is_set():
            self._is_over.set()
            if self._thread.is_alive():
                self._thread.join()
            self._status.end()

    def _run(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            try:
                found = self._client.ps()
            except OllamapyError:
                continue  # the request itself will tell what is wrong
            if not self._is_over.is_set():
                self._status.show(*load_step(found, self._model, self._label))


def load_step(found: LoadedListRecord, model: str, label: str) -> tuple[str, int, int]:
    """Return what to tell of a model that is waited for: a label, and where it is being loaded done and total bytes."""
    loaded = find_loaded(found.models, model)
    if loaded is not None and loaded.state == "loading":
        return label, round(loaded.progress * loaded.size), loaded.size
    name = full_name(model)
    waiting = next((request for request in found.waiting if full_name(request.model) == name), None)
    return (f"{label} ({waiting.reason})" if waiting else label), 0, 0


def find_loaded(models: Sequence[LoadedRecord], model: str) -> LoadedRecord | None:
    """Return the model of that name among those in memory."""
    return next((loaded for loaded in models if full_name(loaded.name) == full_name(model)), None)


def full_name(model: str) -> str:
    """Return a name with its tag and in lower case, as names are compared."""
    return (model if ":" in model.rpartition("/")[2] else f"{model}:latest").lower()
