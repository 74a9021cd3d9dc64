"""A step that comes again as it is: its plain streams are told their text at once, and keep their books later."""

from __future__ import annotations

from collections.abc import Iterable

from ollamapy import wire
from ollamapy.errors import OllamapyError
from ollamapy.worker.plan import Plan
from ollamapy.worker.sequence import Sequence

Drawn = list[int | OllamapyError]


class Round:
    """A plan of one token for every running stream, and the tokens of its plain ones since they kept books.

    After a decode the objects of a stream have left the caches, so that to look at them costs more than what is done
    with them. A stream is plain as long as a token is nothing but text to it: then the token is noted, and `settle`
    brings its sequence up to date before anybody looks at that. All others go the long way, as in any step.
    `whole_texts` has the text of each token that is some whole characters, as far as it is known, and None for others.
    """

    def __init__(self, plan: Plan, whole_texts: list[str | None]) -> None:
        self.plan = plan
        self._whole_texts = whole_texts
        self._sequences = [part.sequence for part in plan.parts]
        self._ids = [sequence.id for sequence in self._sequences]
        self._steps: list[Drawn] = []  # those that are not in all books
        self._begins = [0] * plan.n_rows  # the first of them that is not in the books of a row
        self._number = 0  # of the last of them
        self._stops: list[frozenset[str] | None] = []  # see `plain_stops`
        self._n_quick = 0
        self.latest: Drawn = []  # what the last step drew for each row
        self.n_cells_used: int | None = None  # after the last step; None where nobody counted

    @property
    def is_quick(self) -> bool:
        """Whether the next step has cells, and no plain stream ends in it by its length."""
        return self._n_quick > 0

    def renew(self, n_cells_used: int, n_free: int) -> None:
        """Find out which streams are plain, and for how long; all books must be kept."""
        self.n_cells_used = n_cells_used
        self._n_quick = n_free // self.plan.n_rows
        self._stops = [None] * len(self._sequences)
        self.look_at(range(len(self._sequences)))

    def look_at(self, rows: Iterable[int]) -> None:
        """See whether streams whose books are kept are plain."""
        for row in rows:
            self._stops[row] = stops = plain_stops(self._sequences[row])
            if stops is not None:
                self._n_quick = min(self._n_quick, n_until_end(self._sequences[row]) - 1)

    def expire(self) -> None:
        """Let all streams go the long way until the round is renewed; all books must be kept."""
        self.n_cells_used, self._n_quick = None, 0
        self._stops = [None] * len(self._sequences)

    def give(self, drawn: Drawn, number: int) -> tuple[list[wire.Output], list[int]]:
        """Take the tokens of the engine's step `number`; return what plain streams are told, and the other rows.

        The books of those others are kept up to this step's decode; their tokens are not in them yet.
        """
        told: list[wire.Output] = []
        others: list[int] = []
        texts = self._whole_texts
        for row, (request_id, token, stops) in enumerate(zip(self._ids, drawn, self._stops, strict=True)):
            text = texts[token] if stops is not None and isinstance(token, int) else None
            if text is None or (stops and not stops.isdisjoint(text)):
                others.append(row)
            else:
                told.append(wire.Output(request_id, text))
        for row in others:
            self._settle_row(row)
            self._begins[row] += 1
            self._sequences[row].n_computed += 1
            self._sequences[row].last_step = number
        self._steps.append(drawn)
        self._number, self.latest = number, drawn
        self._n_quick -= 1
        if self.n_cells_used is not None:
            self.n_cells_used += len(drawn)
        return told, others

    def settle(self) -> None:
        """Bring the books of all streams up to date."""
        if self._steps:
            for row in range(len(self._sequences)):
                self._settle_row(row)
            self._steps, self._begins = [], [0] * len(self._sequences)

    def _settle_row(self, row: int) -> None:
        sequence, begin = self._sequences[row], self._begins[row]
        if n_new := len(self._steps) - begin:
            sequence.tokens += [token for step in self._steps[begin:] if isinstance(token := step[row], int)]
            sequence.n_computed += n_new
            sequence.n_generated += n_new
            sequence.last_step = self._number
            self._begins[row] += n_new


def n_until_end(sequence: Sequence) -> int:
    """Return after how many tokens its length ends an answer, or makes its context shift."""
    return min(sequence.max_tokens - sequence.n_generated, sequence.context - len(sequence.tokens))


def plain_stops(sequence: Sequence) -> frozenset[str] | None:
    """Return the characters with which a stream's stop strings begin; None if it is not plain.

    The next tokens of a plain stream do nothing but add text to it, if they are whole characters and none of these.
    """
    is_bare = sequence.constraint is None and not sequence.request.logprobs
    return sequence.text.stop_heads if is_bare and sequence.text.is_clear and n_until_end(sequence) > 1 else None
