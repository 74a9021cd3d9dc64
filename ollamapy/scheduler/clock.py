"""Time as the scheduler sees it, so that tests can move it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that is due."""

    def cancel(self) -> None:
        """Forget the callback."""


class Clock(Protocol):
    """A monotonic clock with an alarm, and the calendar."""

    def now(self) -> float:
        """Return seconds that only ever grow."""

    def wall(self) -> float:
        """Return seconds since the epoch."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once `now()` has reached `when`."""


class SystemClock:
    """The machine's clock; alarms ring in the running event loop."""

    def now(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once `now()` has reached `when`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)
