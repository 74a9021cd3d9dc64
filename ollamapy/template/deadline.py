"""The end of the processor time that one rendering may take, whatever else the machine has to do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]


class Deadline:
    """Passes once this thread has computed for so many seconds.

    The processor's clock is dear to read, so the cheap one tells when to look at it: never too early, for a thread
    can't compute for longer than time passes. Who has no time for a call compares `clock` and `look_at` first.
    """

    __slots__ = ("_end", "_processor_clock", "clock", "look_at")

    def __init__(
        self, seconds: float, clock: Clock = time.monotonic, processor_clock: Clock = time.thread_time
    ) -> None:
        self.clock, self._processor_clock = clock, processor_clock
        self._end = processor_clock() + seconds
        self.look_at = clock() + seconds

    def has_passed(self) -> bool:
        """Look, and put off the next look where time is left."""
        now = self.clock()
        if now <= self.look_at:
            return False
        left = self._end - self._processor_clock()
        self.look_at = now + left
        return left <= 0
