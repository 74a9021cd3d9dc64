"""What one sequence's next tokens may be, and how often such guesses came true."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field

from ollamapy.worker.ngram import Guess, NgramIndex
from ollamapy.worker.speculation import HitRate

DRAFT_RATES = (0.7, 0.7, 0.7, 0.7)


@dataclass(slots=True)
class Lookahead:
    """The guesses of one sequence. `n_drafted` tokens were put into steps, `n_accepted` of them came true.

    `is_drafted` tells whether the latest guess was the draft model's.
    """

    n_drafted: int = 0
    n_accepted: int = 0
    guess: Guess | None = None
    ngrams: NgramIndex = field(default_factory=NgramIndex)
    ngram_hits: HitRate = field(default_factory=HitRate)
    is_drafted: bool = False
    draft_hits: HitRate = field(default_factory=lambda: HitRate([*DRAFT_RATES]))

    def chances(self, guess: Guess) -> list[float]:
        """Return for each token of a guess the chance that it and all before it come true."""
        return self._hits(guess).chances(guess.n_matched, len(guess.tokens))

    def learn(self, tokens: Tokens[int], n_drafted: int, n_accepted: int) -> None:
        """Compare the guess, as much of it as was put into the step or none, with the tokens that came."""
        self.n_drafted += n_drafted
        self.n_accepted += n_accepted
        guess, self.guess = self.guess, None
        self.is_drafted = guess is not None and guess.n_matched == 0
        if guess is None:
            return
        hits = self._hits(guess)
        for i, (guessed, came) in enumerate(zip(guess.tokens, tokens, strict=False)):
            hits.learn(guess.n_matched + i, hit=guessed == came)
            if guessed != came:
                break

    def restart(self) -> None:
        """Forget what was read of the tokens: they changed."""
        self.guess, self.ngrams = None, NgramIndex()

    def _hits(self, guess: Guess) -> HitRate:
        return self.ngram_hits if guess.n_matched else self.draft_hits
