"""Whether to guess tokens ahead, and how many: decided from measured step times and measured success.

Guessed tokens ride along in a decode step and are kept where the sampler chooses the same. A step with more rows takes
longer, so a guess pays only where its chance is worth more than the time of its row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field

MOST_DRAFT_TOKENS = 16
ROW_SHARE = 0.5  # of the time per row of the largest step known, assumed for each row beyond it
WORTHWHILE = 1.1  # times the tokens per second, expected: less is within the errors of what was measured
FORGET_STEPS = 400  # what was not measured for so long may have changed, and is worth another try
_BOUNDS = (5, 9, 17)  # match lengths that begin a new class
_STEP_KEPT = 0.8  # of what is known of a step's time, with each step more
_WEIGHT = 0.1


@dataclass(slots=True)
class StepCosts:
    """Seconds of a step by its rows, a moving average each, for steps that only decode."""

    _seconds: dict[int, float] = field(default_factory=dict)
    _measured: dict[int, int] = field(default_factory=dict)
    _now: int = 0

    def learn(self, n_rows: int, seconds: float, n_steps: int = 1) -> None:
        """Take in how long each of the last steps took, all of so many rows."""
        before, self._now = self._now, self._now + n_steps
        known = self._seconds.get(n_rows, seconds)
        self._seconds[n_rows] = known + (1 - _STEP_KEPT**n_steps) * (seconds - known)
        self._measured[n_rows] = self._now
        if self._now // FORGET_STEPS > before // FORGET_STEPS:
            for rows in [r for r, at in self._measured.items() if at <= self._now - FORGET_STEPS]:
                del self._seconds[rows], self._measured[rows]

    def curve(self, least_rows: int, most_rows: int) -> list[float]:
        """Return the seconds of steps of that many rows, never falling; empty before anything was measured."""
        sizes = sorted(self._seconds)
        if not sizes:
            return []
        times = [self._seconds[size] for size in sizes]
        for i in range(len(times) - 2, -1, -1):
            times[i] = min(times[i], times[i + 1])  # an outlier does not outweigh a larger step that took less
        return [_interpolated(sizes, times, rows) for rows in range(least_rows, most_rows + 1)]


def _interpolated(sizes: list[int], times: list[float], rows: int) -> float:
    at = bisect_left(sizes, rows)
    if at == len(sizes):
        return times[-1] * (1 + ROW_SHARE * (rows - sizes[-1]) / sizes[-1])
    if sizes[at] == rows:
        return times[at]
    low, low_time = (sizes[at - 1], times[at - 1]) if at else (0, 0.0)
    return low_time + (times[at] - low_time) * (rows - low) / (sizes[at] - low)


@dataclass(slots=True)
class HitRate:
    """How often a guessed token was the right one, by the length of the match behind it: moving averages."""

    rates: list[float] = field(default_factory=lambda: [0.3, 0.5, 0.7, 0.85])

    def learn(self, n_matched: int, *, hit: bool) -> None:
        """Take in whether the token guessed behind a match of this length came."""
        at = _class_of(n_matched)
        self.rates[at] += _WEIGHT * (hit - self.rates[at])

    def chances(self, n_matched: int, n_tokens: int) -> list[float]:
        """Return for each token of a guess the chance that it and all before it come true."""
        chances, chance = [], 1.0
        for i in range(n_tokens):
            chance *= self.rates[_class_of(n_matched + i)]
            chances.append(chance)
        return chances


def _class_of(n_matched: int) -> int:
    return sum(n_matched >= bound for bound in _BOUNDS)


def draft_lengths(chances: Rows[Rows[float]], costs: Rows[float], token_seconds: Rows[float]) -> list[int]:
    """Return how many guessed tokens of each sequence to put into a step.

    `chances` are those of each sequence's guess, falling; `costs` the seconds of the step without any, with one more
    row, and so on up to the most that there can be; `token_seconds` what a guessed token of each sequence costs to
    make. The choice has the most expected tokens per second.
    """
    lengths = [0] * len(chances)
    ranked = sorted(((chance, which) for which, row in enumerate(chances) for chance in row), reverse=True)
    tokens, seconds, n_best = float(len(chances)), costs[0], 0
    best, spent = WORTHWHILE * tokens / seconds if seconds > 0 else 0.0, 0.0
    for n, (chance, which) in enumerate(ranked[: len(costs) - 1], 1):
        tokens += chance
        spent += token_seconds[which]
        rate = tokens / (costs[n] + spent) if costs[n] > 0 else 0.0
        if rate > best:
            best, n_best = rate, n
    for _, which in ranked[:n_best]:
        lengths[which] += 1
    return lengths
