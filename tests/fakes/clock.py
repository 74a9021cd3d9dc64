"""A clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable

EPOCH = 1_700_000_000.0


class FakeTimer:
    """An alarm of a `FakeClock`."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        """Forget the callback."""
        self.is_cancelled = True


class FakeClock:
    """Starts at 0 (wall: `EPOCH`) and stands still until `advance`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[FakeTimer] = []

    def now(self) -> float:
        """Return the seconds that were advanced so far."""
        return self._now

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return EPOCH + self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call back during the `advance` that reaches `when`."""
        self._timers.append(FakeTimer(when, callback))
        return self._timers[-1]

    def advance(self, seconds: float) -> None:
        """Move on and ring what is due."""
        self._now += seconds
        due = [timer for timer in self._timers if timer.when <= self._now and not timer.is_cancelled]
        self._timers = [timer for timer in self._timers if timer.when > self._now and not timer.is_cancelled]
        for timer in due:
            timer.callback()
