from __future__ import annotations

import itertools

from ollamapy import wire
from ollamapy.worker.ngram import SIZE
from ollamapy.worker.plan import Slice, plan_of
from ollamapy.worker.sequence import Sequence
from ollamapy.worker.speculator import FRUITLESS_LOOKS, LEAST_REST, Speculator
from ollamapy.worker.text import TextStream

MOST_ROWS = 64


def stream(tokens: list[int]) -> Sequence:
    request = wire.Generate(1, [], [], False, wire.Sampling(), num_ctx=4096, max_tokens=4000)
    return Sequence(request, tokens, None, TextStream(), 0.0, 4000, 4096, 1, n_computed=len(tokens) - 1)  # type: ignore[arg-type]


def steps_until_a_guess(speculator: Speculator, sequence: Sequence, coming: list[int]) -> int | None:
    """Append a token a step; return in which step the speculator guesses for the first time."""
    for step, token in enumerate(coming, 1):
        sequence.tokens.append(token)
        plan = plan_of([Slice(sequence, 1, is_last=True)], 1)
        if not speculator.is_resting() and speculator.extend(plan, MOST_ROWS).has_guesses:
            return step
        sequence.ahead.guess = None
    return None


def swift() -> Speculator:
    """A speculator that knows that more rows cost nothing."""
    speculator, sequence = Speculator(None, lambda: 0.0), stream([1])
    for n_guessed in (0, 1, 3, 7, 15, 31):
        part = Slice(sequence, 1, is_last=True, draft=tuple(range(n_guessed)))
        speculator.learn(plan_of([part], 1), 0, 0.02)
    return speculator


def test_text_that_repeats_itself_is_guessed_at_once() -> None:
    assert steps_until_a_guess(swift(), stream([2, 3, 4, 5]), [2, 3, 4]) == SIZE


def test_after_long_new_text_a_repetition_is_seen_a_few_steps_later_at_most() -> None:
    waits = set[int]()
    for n_new in range(FRUITLESS_LOOKS + SIZE, FRUITLESS_LOOKS + SIZE + LEAST_REST + 1):
        new = list(range(100, 100 + n_new))
        repeated = itertools.islice(itertools.cycle(new), n_new + SIZE + LEAST_REST + 1)
        step = steps_until_a_guess(swift(), stream([1]), [*repeated])
        assert step is not None
        waits.add(step - n_new - SIZE)
    assert waits == set(range(LEAST_REST + 1))


def test_while_guesses_are_found_no_step_goes_without_a_look() -> None:
    speculator, sequence = swift(), stream([1])
    steps_until_a_guess(speculator, sequence, [*range(100, 120), *range(100, 108)])
    for token in range(sequence.tokens[-1] + 1, 120):
        assert steps_until_a_guess(speculator, sequence, [token]) == 1
