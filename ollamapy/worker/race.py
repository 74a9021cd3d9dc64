"""Which of two ways to do the same is faster here: measured, not assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

TRIALS = 8  # of each way before they are compared
_KEPT = 0.95  # of what is remembered, with each new measurement


@dataclass(slots=True)
class Way:
    """Seconds and work of the latest measurements, older ones counting less."""

    seconds: float = 0.0
    work: float = 0.0
    n_trials: int = 0

    @property
    def pace(self) -> float:
        """Seconds per piece of work."""
        return self.seconds / self.work if self.work > 0 else 0.0


@dataclass(slots=True)
class Race:
    """The ways 0 and 1; the slower one gets another chance after `retry` times of the faster."""

    retry: int = 200
    ways: tuple[Way, Way] = field(default_factory=lambda: (Way(), Way()))
    _taken: int = 0

    def choose(self) -> int:
        """Return the way to take."""
        for number, way in enumerate(self.ways):
            if way.n_trials < TRIALS:
                return number
        faster = int(self.ways[1].pace < self.ways[0].pace)
        self._taken += 1
        return 1 - faster if self._taken % self.retry == 0 else faster

    def learn(self, number: int, seconds: float, work: float, n_trials: int = 1) -> None:
        """Take in how long so much work took on a way, in one trial or several."""
        way, kept = self.ways[number], _KEPT**n_trials
        way.seconds = kept * way.seconds + seconds
        way.work = kept * way.work + work
        way.n_trials += n_trials
