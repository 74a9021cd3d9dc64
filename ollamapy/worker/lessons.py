"""What steps teach: how many prompt tokens go into one, and whether guesses pay."""

from __future__ import annotations

from ollamapy.worker.budget import StepBudget
from ollamapy.worker.plan import Plan
from ollamapy.worker.speculator import Speculator

MOST_STEPS = 32  # of a round that are learned from together


class Lessons:
    """The budget, and the speculator's times. Steps of one round are learned from together: first one, then more."""

    def __init__(self, speculator: Speculator | None) -> None:
        self._budget = StepBudget()
        self._speculator = speculator
        self._round: Plan | None = None
        self._seconds: list[float] = []  # of its steps that were not learned from
        self._n_wanted = 1

    @property
    def budget(self) -> StepBudget:
        """What all steps so far have taught."""
        self._settle()
        return self._budget

    def end_round(self) -> None:
        """Let go of a round that does not come again."""
        self._settle()
        self._round = None

    def take(self, plan: Plan, seconds: float, n_accepted: int, *, is_round: bool) -> None:
        """Take in how long a step took, and how many guessed tokens came true; a round may come again as it is."""
        if not is_round:
            self.end_round()
            self._learn(plan, [seconds], n_accepted)
            return
        if plan is not self._round:
            self._settle()
            self._round, self._n_wanted = plan, 1
        self._seconds.append(seconds)
        if len(self._seconds) >= self._n_wanted:
            self._settle()
            self._n_wanted = min(2 * self._n_wanted, MOST_STEPS)

    def _settle(self) -> None:
        if self._round is not None and self._seconds:
            self._learn(self._round, self._seconds, 0)
            self._seconds = []

    def _learn(self, plan: Plan, seconds: list[float], n_accepted: int) -> None:
        n_steps = len(seconds)
        if plan.n_decoding or plan.n_prefill:
            usual = sorted(seconds)[(n_steps - 1) // 2]  # one that something held up says nothing about the others
            self._budget = self._budget.after(
                usual, plan.n_decoding, plan.n_prefill, is_longer=plan.is_longer, n_steps=n_steps
            )
        if self._speculator is not None and not plan.n_prefill:
            self._speculator.learn(plan, n_accepted, sum(seconds), n_steps)
