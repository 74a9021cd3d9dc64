"""Adds guessed tokens to steps where that pays; the decision itself is `speculation.draft_lengths`."""

from __future__ import annotations

from collections.abc import Callable

from ollamapy.worker.draft import DraftModel
from ollamapy.worker.ngram import Guess
from ollamapy.worker.plan import Plan, Slice, plan_of
from ollamapy.worker.race import TRIALS, Race
from ollamapy.worker.sequence import Sequence
from ollamapy.worker.speculation import MOST_DRAFT_TOKENS, StepCosts, draft_lengths

DRAFT_TOKENS = 8  # of a draft model, where a request does not say
RETRY = 16  # steps that could have had guesses, and had none, between two trials where guesses did not pay
FIRST_PAUSE, LAST_PAUSE = 32, 1024  # steps between two trials while a draft model does not pay
FRUITLESS_LOOKS = 32  # of all streams into their earlier text; after so many in vain, some steps go without one:
LEAST_REST, LONGEST_REST = 3, 32  # two for each stream, since each costs a look and makes guesses dearer


class Speculator:
    """Guesses for the sequences of one engine. `draft` is None where only earlier text is looked up."""

    def __init__(self, draft: DraftModel | None, clock: Callable[[], float]) -> None:
        self._draft = draft
        self._clock = clock
        self._costs = StepCosts()
        self._races: dict[int, Race] = {}
        self._token_seconds = 0.0
        self._pause = FIRST_PAUSE
        self._steps_idle = 0
        self._n_fruitless = self._rest = 0

    def forget(self, sequence: Sequence) -> None:
        """Let go of what is kept for a sequence that leaves, or whose tokens change."""
        sequence.ahead.restart()
        if self._draft is not None:
            self._draft.forget(sequence.id)

    def learn(self, plan: Plan, n_accepted: int, seconds: float, n_steps: int = 1) -> None:
        """Take in how long steps took that only decoded, without the time for guessing, and what they brought."""
        self._costs.learn(plan.n_rows, seconds / n_steps, n_steps)
        spent = 0.0
        if self._draft is not None:
            drafted = sum(len(part.draft) for part in plan.parts if part.sequence.ahead.is_drafted)
            spent = drafted * self._token_seconds
        n_tokens = n_steps * plan.n_decoding + n_accepted
        self._race(plan).learn(int(plan.has_guesses), seconds + spent, n_tokens, n_steps)

    def is_resting(self) -> bool:
        """Whether this step goes without a look, after many in vain; to be asked once a step."""
        if self._rest:
            self._rest -= 1
            return True
        return False

    def extend(self, plan: Plan, most_rows: int) -> Plan:
        """Return a plan that only decodes with guessed tokens where they pay, in at most `most_rows` rows."""
        chances = [self._chances(part.sequence) for part in plan.parts]
        if self._draft is None:
            if not any(chances):
                self._n_fruitless += len(plan.parts)
                if self._n_fruitless >= FRUITLESS_LOOKS:
                    self._rest = min(max(LEAST_REST, 2 * len(plan.parts)), LONGEST_REST)
                return plan
            self._n_fruitless = 0
        costs = self._costs.curve(plan.n_rows, min(most_rows, plan.n_rows + sum(map(len, chances))))
        if len(costs) < 2:
            return plan
        seconds = [self._token_seconds if part.sequence.ahead.guess is None else 0.0 for part in plan.parts]
        lengths = draft_lengths(chances, costs, seconds)
        if any(lengths) and not self._pays(plan):
            lengths = [0] * len(lengths)
        if self._draft is not None:
            self._ask(self._draft, [(part.sequence, n) for part, n in zip(plan.parts, lengths, strict=True)])
        parts = [_with_draft(part, n) for part, n in zip(plan.parts, lengths, strict=True)]
        extended = plan_of(parts, plan.n_decoding)
        return extended if extended.has_guesses else plan

    def _race(self, plan: Plan) -> Race:
        race = self._races.get(plan.n_decoding)
        if race is None:
            race = self._races[plan.n_decoding] = Race(RETRY)
        return race

    def _pays(self, plan: Plan) -> bool:
        """Whether steps of so many sequences with guesses brought more per second than those without, so far."""
        race = self._race(plan)
        return race.ways[0].n_trials == 0 or race.ways[1].n_trials < TRIALS or race.choose() == 1

    def _chances(self, sequence: Sequence) -> list[float]:
        """Look for a guess in earlier text; return its chances, or those of the draft model where that is better."""
        ahead = sequence.ahead
        guess = ahead.guess = ahead.ngrams.guess(sequence.tokens, MOST_DRAFT_TOKENS)
        if guess is None and self._draft is None:
            return []
        room = _room(sequence)
        if room == 0:
            guess = ahead.guess = None
        chances = ahead.chances(guess)[:room] if guess is not None else []
        if self._draft is not None:
            drafted = ahead.draft_hits.chances(0, min(room, DRAFT_TOKENS))
            if sum(drafted) > sum(chances[:DRAFT_TOKENS]):
                ahead.guess = None
                return drafted
        return chances

    def _ask(self, draft: DraftModel, wanted: list[tuple[Sequence, int]]) -> None:
        """Let the draft model guess where it pays, and now and then where it did not, to see whether that changed."""
        asked = [(s, n) for s, n in wanted if s.ahead.guess is None and n > 0]
        self._steps_idle = 0 if asked else self._steps_idle + 1
        if asked:
            self._pause = FIRST_PAUSE
        elif self._steps_idle >= self._pause:
            self._pause, self._steps_idle = min(2 * self._pause, LAST_PAUSE), 0
            asked = [(s, 1) for s, _ in wanted if s.ahead.guess is None and _room(s) > 0][:1]
        started = self._clock()
        guesses = draft.guess(asked)
        n_guessed = sum(map(len, guesses.values()))
        if n_guessed and draft.was_up_to_date:
            seconds = (self._clock() - started) / n_guessed
            weight = 0.5 if seconds < self._token_seconds else 0.2  # the first ones may be slow
            self._token_seconds += (seconds - self._token_seconds) * (weight if self._token_seconds else 1.0)
        for sequence, tokens in guesses.items():
            sequence.ahead.guess = Guess(tokens, 0)


def _with_draft(part: Slice, n_tokens: int) -> Slice:
    """Return the slice with the beginning of its sequence's guess behind it, as far as the grammar allows that."""
    guess, constraint = part.sequence.ahead.guess, part.sequence.constraint
    if guess is None or n_tokens == 0:
        return part
    draft = guess.tokens[:n_tokens]
    if constraint is not None:
        draft = draft[: constraint.count_allowed(draft)]
    return Slice(part.sequence, part.n_tokens, part.is_last, draft)


def _room(sequence: Sequence) -> int:
    """How many guessed tokens the request allows: its answer must end, and its context shift, where they would."""
    if sequence.pictures:  # earlier text has placeholders in it, and positions may differ from indexes
        return 0
    wanted = sequence.request.draft_tokens
    left = min(sequence.max_tokens - sequence.n_generated - 1, sequence.context - len(sequence.tokens))
    return max(min(left, MOST_DRAFT_TOKENS if wanted < 0 else min(wanted, MOST_DRAFT_TOKENS)), 0)
