"""Guesses what comes next by what followed the same tokens before: prompt lookup, which needs no second model."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from dataclasses import dataclass

SIZE = 3
LONGEST_MATCH = 32


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next; the last `n_matched` tokens stood before them already (at most LONGEST_MATCH)."""

    tokens: tuple[int, ...]
    n_matched: int


class NgramIndex:
    """Where each run of SIZE tokens ended last. It belongs to one token list that only grows at its end."""

    __slots__ = ("_ends", "_latest", "_next")

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._next = SIZE
        self._latest: tuple[int, ...] = ()

    def guess(self, tokens: Tokens[int], most: int) -> Guess | None:
        """Return up to `most` tokens that may follow, None where the last SIZE tokens are new."""
        n_tokens = len(tokens)
        if n_tokens == self._next + 1 and len(self._latest) == SIZE:  # the usual case: one more token
            self._ends[self._latest] = self._next
            self._latest = (*self._latest[1:], tokens[-1])
            self._next = n_tokens
        else:
            for end in range(self._next, n_tokens):
                self._ends[tuple(tokens[end - SIZE : end])] = end
            self._latest = tuple(tokens[-SIZE:])
            self._next = max(self._next, n_tokens)
        last = self._ends.get(self._latest)
        if last is None or most <= 0:
            return None
        known = tokens[last : last + most]
        rounds = -(-most // len(known))  # text that repeats itself goes on in circles
        return Guess(tuple((list(known) * rounds)[:most]), _matched(tokens, last))


def _matched(tokens: Tokens[int], end: int) -> int:
    """Return how many tokens before `end` equal the last ones."""
    length, most = SIZE, min(end, LONGEST_MATCH)
    while length < most and tokens[end - length - 1] == tokens[-length - 1]:
        length += 1
    return length
