"""Which of two ways to do the same is faster here: measured, not assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

RETRY = 200  # times that the faster way is taken before the other one gets another chance
_WEIGHT = 0.2


@dataclass(slots=True)
class Race:
    """Moving averages of the seconds that the ways 0 and 1 take per piece of work."""

    seconds: list[float] = field(default_factory=list)
    _taken: int = 0

    def choose(self) -> int:
        """Return the way to take: each once at first, then the faster, and the slower one now and then."""
        if len(self.seconds) < 2:
            return len(self.seconds)
        self._taken += 1
        faster = int(self.seconds[1] < self.seconds[0])
        return 1 - faster if self._taken % RETRY == 0 else faster

    def learn(self, way: int, seconds: float) -> None:
        """Take in how long a piece of work took on this way."""
        if way == len(self.seconds):
            self.seconds.append(seconds)
        elif way < len(self.seconds):
            self.seconds[way] += _WEIGHT * (seconds - self.seconds[way])
