"""A small model that guesses what a large one of the same vocabulary will say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ollamapy import wire
from ollamapy.errors import LoadError
from ollamapy.worker.llama import DecodeError, Llama
from ollamapy.worker.sequence import Sequence

MOST_EXTRA_TOKENS = 128  # models of one family pad their vocabulary to different sizes
UP_TO_DATE_TOKENS = 16
_GREEDY = wire.Sampling(temperature=0.0)


@dataclass(slots=True)
class Seat:
    """A sequence in the draft model's KV cache, which has computed `tokens`; the first `n_sure` are the sequence's."""

    seq_id: int
    tokens: list[int] = field(default_factory=list)
    n_sure: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """Tokens to compute for a sequence that wants a guess of `n_wanted`; with `is_last` nothing else is missing."""

    sequence: Sequence
    tokens: list[int]
    n_wanted: int
    is_last: bool = True


class DraftModel:
    """The draft model with its own KV cache. Raises LoadError where it does not fit the large model."""

    def __init__(self, llama: Llama, large: Llama) -> None:
        check_fit(llama, large)
        self._llama = llama
        self._n_vocab = min(llama.n_vocab, large.n_vocab)
        self._free_ids = list(range(llama.n_seq_max))
        self._seats: dict[int, Seat] = {}
        self._sampler = llama.sampler(_GREEDY)
        self.was_up_to_date = True
        self.size_bytes, self.size_device_bytes = llama.size_bytes, llama.size_device_bytes

    def forget(self, sequence_id: int) -> None:
        """Give up the cells of a sequence; it may come back."""
        seat = self._seats.pop(sequence_id, None)
        if seat is not None:
            self._llama.remove(seat.seq_id)
            self._free_ids.append(seat.seq_id)

    def guess(self, wanted: Iterable[tuple[Sequence, int]]) -> dict[Sequence, tuple[int, ...]]:
        """Return likely continuations of so many tokens, for those sequences that it could keep up with.

        A sequence far behind, as one with a long prompt is at first, gets none until the draft model has read it; then
        `was_up_to_date` is false.
        """
        guesses: dict[Sequence, list[int]] = {}
        feeds = self._missing(wanted)
        self.was_up_to_date = all(len(feed.tokens) <= UP_TO_DATE_TOKENS for feed in feeds)
        while feeds:
            rows = self._decode(feeds)
            ready, feeds = [(feed, row) for feed, row in zip(feeds, rows, strict=False) if feed.is_last], []
            for feed, row in ready:
                token = self._sampler.sample(row)
                guess = guesses.setdefault(feed.sequence, [])
                if token < self._n_vocab:
                    guess.append(token)
                    if len(guess) < feed.n_wanted:
                        feeds.append(Feed(feed.sequence, [token], feed.n_wanted))
        return {sequence: tuple(guess) for sequence, guess in guesses.items()}

    def _missing(self, wanted: Iterable[tuple[Sequence, int]]) -> list[Feed]:
        feeds, left = [], self._llama.n_batch
        for sequence, n_wanted in wanted:
            seat = self._seat(sequence)
            if seat is None or left <= 0:
                continue
            missing = sequence.tokens[len(seat.tokens) : len(seat.tokens) + left]
            left -= len(missing)
            is_last = len(seat.tokens) + len(missing) == len(sequence.tokens)
            if min(missing) < 0 or max(missing) >= self._llama.n_vocab or not self._has_room(sequence, seat, n_wanted):
                self.forget(sequence.id)
            else:
                feeds.append(Feed(sequence, missing, n_wanted, is_last))
        return feeds

    def _seat(self, sequence: Sequence) -> Seat | None:
        """Return where the sequence sits, with what was guessed wrong removed; None if there is no place."""
        seat = self._seats.get(sequence.id)
        if seat is None:
            if not self._free_ids:
                return None
            seat = self._seats[sequence.id] = Seat(self._free_ids.pop())
        most = min(len(seat.tokens), len(sequence.tokens) - 1)  # the last one is always computed, for its logits
        while seat.n_sure < most and seat.tokens[seat.n_sure] == sequence.tokens[seat.n_sure]:
            seat.n_sure += 1
        seat.n_sure = min(seat.n_sure, most)
        if seat.n_sure < len(seat.tokens):
            self._llama.remove(seat.seq_id, seat.n_sure)
            del seat.tokens[seat.n_sure :]
        return seat

    def _has_room(self, sequence: Sequence, seat: Seat, n_wanted: int) -> bool:
        others = sum(len(other.tokens) for other in self._seats.values()) - len(seat.tokens)
        return others + len(sequence.tokens) + n_wanted <= self._llama.n_ctx

    def _decode(self, feeds: list[Feed]) -> list[int]:
        """Compute the tokens and return each feed's last row; none, and all forgotten, if llama.cpp refuses."""
        batch, at, rows = self._llama.batch, 0, []
        for feed in feeds:
            seat, n = self._seats[feed.sequence.id], len(feed.tokens)
            part = slice(at, at + n)
            batch.tokens[part] = feed.tokens
            batch.positions[part] = range(len(seat.tokens), len(seat.tokens) + n)
            batch.sequences[part] = seat.seq_id
            batch.wants_logits[part] = 0
            at += n
            batch.wants_logits[at - 1] = 1
            rows.append(at - 1)
        try:
            self._llama.decode(at)
        except DecodeError:
            for feed in feeds:
                self.forget(feed.sequence.id)
            return []
        for feed in feeds:
            self._seats[feed.sequence.id].tokens.extend(feed.tokens)
        return rows


def check_fit(draft: Llama, large: Llama) -> None:
    """Raise LoadError where the draft model can't guess for the large one."""
    if not draft.can_cut:
        raise LoadError("the draft model can't be used: its memory can't be cut at a position; use another one")
    difference = _vocabulary_difference(draft, large)
    if difference:
        raise LoadError(
            f"the draft model has another vocabulary than the model: {difference}; "
            "use a smaller model of the same family"
        )


def _vocabulary_difference(draft: Llama, large: Llama) -> str:
    if abs(draft.n_vocab - large.n_vocab) > MOST_EXTRA_TOKENS:
        return f"{draft.n_vocab} tokens instead of {large.n_vocab}"
    pairs = zip(draft.pieces(), large.pieces(), strict=False)
    at = next((token for token, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    return "" if at is None else f"token {at} is another one"
