"""How many prompt tokens go into a step: learned from what steps took."""

from __future__ import annotations

from collections.abc import Sequence as Rows

import msgspec
from msgspec.structs import replace

MIN_CHUNK = 2
TILE_ROWS = 64  # llama.cpp's own attention on a CPU takes so many rows together; a token of fewer costs more
STRETCH = 1.7
CROWD = 8  # several requests that wait are one where no more than so many stream for each,
CROWD_PROMPT_SECONDS = 4.0  # no prompt among them takes longer by itself,
CROWD_SECONDS = 60.0  # and the streams have been held up for no longer
SWIFT_STEP_SECONDS = 0.031  # more tokens in a second than anyone reads: no prompt need wait for still shorter steps
LONGEST_STEP_SECONDS = 1.0
MOST_SMALL = 64  # steps with small chunks, after which a large one shows again what its tokens cost, if it fits
MOST_MIXED = 16  # steps with prompts in a row, after which one shows again what the streams alone take
WILD = 4.0  # a sample of more times the average counts as one of so many
LEAST_SECONDS = 1e-7


class StepBudget(msgspec.Struct, frozen=True):
    """Prefill tokens per step, so that running streams feel another's prompt little.

    `decode_seconds` is a moving average of steps of `n_decoding` streams without prefill. `token_seconds` is one of
    what a prompt token costs in a large chunk (short prompts count less), `small_token_seconds` of what it adds to a
    step of streams in a small one: on a CPU far more, behind a long context. None until measured. `held_up_seconds` is
    how long crowds have held the streams up, less what those have had for themselves since; `n_mixed` steps in a row
    had both, and `n_small` a small chunk.

    With streams running, a step may take about `STRETCH` times a pure decode step, or `SWIFT_STEP_SECONDS`; without, it
    is bounded so that a cancelled request leaves soon, but not so small that reading the weights takes most of it.
    """

    decode_seconds: float | None = None
    n_decoding: int = 0
    token_seconds: float | None = None
    small_token_seconds: float | None = None
    held_up_seconds: float = 0.0
    n_mixed: int = 0
    n_small: int = 0

    def tokens(self, n_decoding: int, waiting: Rows[int], n_batch: int, n_streams: int | None = None) -> int:
        """Return the prompt tokens that the next step may take; `waiting` has what is left of each prompt.

        `n_decoding` of the `n_streams` have a token in the step; without that number, all. One request that waits among
        streams is held up for their sake. A crowd with short prompts, as of requests that came together, is not: in
        small chunks they would take longer in sum.
        """
        if self.token_seconds is None:
            return n_batch if not n_decoding or len(waiting) > 1 else min(n_batch, TILE_ROWS)
        is_crowd = self._is_crowd(n_decoding if n_streams is None else n_streams, waiting, self.token_seconds)
        if not n_decoding or self.decode_seconds is None or is_crowd:
            longest = max(LONGEST_STEP_SECONDS, self.decode_seconds or 0.0)
            return min(n_batch, max(int(longest / self.token_seconds), TILE_ROWS))
        if self._is_stale(n_decoding):
            return 0
        beside = max((STRETCH - 1) * self.decode_seconds, SWIFT_STEP_SECONDS - self.decode_seconds)
        chunk = self._chunk(min(beside, LONGEST_STEP_SECONDS), self.token_seconds, n_batch)
        return min(n_batch, max(chunk, MIN_CHUNK))

    def _is_crowd(self, n_streams: int, waiting: Rows[int], token_seconds: float) -> bool:
        are_several = len(waiting) > 1 and CROWD * len(waiting) >= n_streams
        are_short = max(waiting, default=0) * token_seconds <= CROWD_PROMPT_SECONDS
        return are_several and are_short and self.held_up_seconds <= CROWD_SECONDS

    def _is_stale(self, n_decoding: int) -> bool:
        """Whether it is unknown by now what the streams alone take."""
        return self.n_mixed >= MOST_MIXED or self._has_changed(n_decoding)

    def _has_changed(self, n_decoding: int) -> bool:
        """Whether twice as many streams run, or half as many."""
        return not n_decoding < 2 * self.n_decoding < 4 * n_decoding

    def _chunk(self, seconds: float, token_seconds: float, n_batch: int) -> int:
        """Return the tokens that add so much to a step of streams; no large chunk is tried where none fits."""
        large = int(seconds / token_seconds)
        if self.small_token_seconds is None:
            return large
        if n_batch >= TILE_ROWS:
            if large >= TILE_ROWS:
                return large
            if self.n_small >= MOST_SMALL:
                return TILE_ROWS
        return min(int(seconds / self.small_token_seconds), TILE_ROWS)

    def after(
        self, seconds: float, n_decoding: int, n_prefill: int, *, is_longer: bool = False, n_steps: int = 1
    ) -> StepBudget:
        """Return the budget that has learned from a step of that composition, or from several that took as long each.

        One that `is_longer` has more than a token of each stream, which says nothing about others.
        """
        if not n_decoding:
            pass_seconds = min(self.decode_seconds or 0.0, seconds / 2)
            return replace(self._learned((seconds - pass_seconds) / n_prefill, n_prefill), held_up_seconds=0.0)
        if not n_prefill:
            return self._rested(seconds, n_decoding, n_steps, is_longer=is_longer)
        alone = self.decode_seconds or 0.0
        beyond = max(seconds - alone, 0.0)
        held_up = max(self.held_up_seconds + beyond - alone, 0.0)
        mixed = replace(self, held_up_seconds=held_up, n_mixed=self.n_mixed + 1)
        if n_prefill >= TILE_ROWS:
            return replace(mixed, n_small=0)._learned(beyond / n_prefill, n_prefill)
        small = _blend(self.small_token_seconds, beyond / n_prefill)
        return replace(mixed, small_token_seconds=small, n_small=(self.n_small + 1) % (MOST_SMALL + 1))

    def _learned(self, sample: float, n_prefill: int) -> StepBudget:
        weight = min(1.0, n_prefill / TILE_ROWS)
        return replace(self, token_seconds=_blend(self.token_seconds, sample, weight))

    def _rested(self, seconds: float, n_decoding: int, n_steps: int, *, is_longer: bool) -> StepBudget:
        """Return the budget after steps without prompts."""
        known = None if self._has_changed(n_decoding) else self.decode_seconds
        alone = known if known is not None and is_longer else _blend(known, seconds, n_samples=n_steps)
        held_up = max(self.held_up_seconds - n_steps * seconds, 0.0)
        return replace(self, decode_seconds=alone, n_decoding=n_decoding, held_up_seconds=held_up, n_mixed=0)


def _blend(average: float | None, sample: float, weight: float = 1.0, n_samples: int = 1) -> float:
    """Move towards a sample, or the usual one of several, faster downwards: what disturbs a step makes it longer."""
    sample = max(sample, LEAST_SECONDS)
    if average is None:
        return sample
    share = 1 - (0.5 if sample < average else 0.8) ** n_samples
    return average + share * weight * (min(sample, WILD * average) - average)
