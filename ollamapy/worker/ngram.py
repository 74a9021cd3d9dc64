"""Guesses what comes next by what followed the same tokens before: prompt lookup, which needs no second model."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from dataclasses import dataclass

SIZE = 3
LONGEST_MATCH = 32
_TOKEN_BITS = 32  # llama.cpp's tokens are int32
_TOKEN_MASK, _RUN_MASK = (1 << _TOKEN_BITS) - 1, (1 << SIZE * _TOKEN_BITS) - 1


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next; the last `n_matched` tokens stood before them already (at most LONGEST_MATCH)."""

    tokens: tuple[int, ...]
    n_matched: int


class NgramIndex:
    """Where each run of SIZE tokens ended last. It belongs to one token list that only grows at its end."""

    __slots__ = ("_ends", "_latest", "_n_read")

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._latest = 0  # the last SIZE tokens that were read, in one number
        self._n_read = 0

    def guess(self, tokens: Tokens[int], most: int) -> Guess | None:
        """Return up to `most` tokens that may follow, None where the last SIZE tokens are new."""
        ends, latest = self._ends, self._latest
        for end, token in enumerate(tokens[self._n_read :], self._n_read):
            if end >= SIZE:
                ends[latest] = end
            latest = (latest << _TOKEN_BITS | token & _TOKEN_MASK) & _RUN_MASK
        self._latest, self._n_read = latest, len(tokens)
        last = ends.get(latest) if len(tokens) >= SIZE else None
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
