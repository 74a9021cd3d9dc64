"""When a model that keeps failing in one way of loading it is given a rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ollamapy.scheduler.placement import Placement

WINDOW_SECONDS = 30.0
FailureKind = Literal["load", "exit", "memory"]
# A model that can't be loaded is hopeless sooner than one whose worker falls over some of its requests.
LIMITS: Mapping[FailureKind, int] = {"load": 3, "exit": 6}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed load, or one worker that ended by itself, at a time of the scheduler's clock.

    A load for which there was too little memory knows how it was `tried`.
    """

    at: float
    kind: FailureKind
    reason: str
    tried: Placement | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Why a model should not be loaded now, and after how many seconds it may be."""

    reason: str
    seconds: float


def recent(failures: Sequence[Failure], now: float) -> tuple[Failure, ...]:
    """Return the failures that still count."""
    return tuple(failure for failure in failures if failure.at > now - WINDOW_SECONDS)


def find_shortage(failures: Sequence[Failure], now: float) -> Failure | None:
    """Return the last load for which there was too little memory, None where none counts: the next has to take less."""
    return next((failure for failure in reversed(recent(failures, now)) if failure.kind == "memory"), None)


def find_block(failures: Sequence[Failure], now: float) -> Block | None:
    """Return why the model should not be loaded now and when it may be again, or None where it may."""
    counting = recent(failures, now)
    for kind, limit in LIMITS.items():
        times = [failure.at for failure in counting if failure.kind == kind]
        if len(times) >= limit:
            wait = times[-limit] + WINDOW_SECONDS - now
            return Block(
                f"it failed {len(times)} times within {WINDOW_SECONDS:g} seconds; "
                f"the next attempt is possible in {wait:.0f} seconds. Last failure: {counting[-1].reason}",
                wait,
            )
    return None
