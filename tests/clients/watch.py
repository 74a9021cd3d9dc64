"""What the programs of all clients look at: whether a daemon is idle, and what a client raises."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import TypeVar

E = TypeVar("E", bound=Exception)

LONG = {"type": "string", "minLength": 100_000}  # no answer comes to its end


def wait_until_idle(url: str) -> None:
    """Return when the daemon answers nobody any more."""
    while any(model.get("active_requests") for model in _loaded(url)):
        pass


def _loaded(url: str) -> list[dict]:
    with urllib.request.urlopen(f"{url}/api/ps", timeout=60) as response:
        return json.load(response)["models"]


def refusal(kind: type[E], ask: Callable[[], object]) -> E:
    """Return what is raised instead of an answer."""
    try:
        ask()
    except kind as exc:
        return exc
    raise AssertionError(f"no {kind.__name__} was raised")
