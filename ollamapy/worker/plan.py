"""Which tokens go into the next decode: a pure decision over the running sequences, and the budget it works within."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import dataclass, replace

import msgspec

from ollamapy.worker.llama import Batch
from ollamapy.worker.sequence import Sequence

MIN_CHUNK = 16
MOST_SCORED = 64  # tokens of a prompt in one step whose logits are all kept: each has a row of the vocabulary's size
MOST_FORCED = 32  # tokens of one sequence and step: the other streams wait for them
TYPICAL_CHUNK = 64
STRETCH = 1.8
LONGEST_STEP_SECONDS = 1.0


class Slice(msgspec.Struct, frozen=True, eq=False):
    """`n_tokens` of a sequence, from its first uncomputed one on, and guesses of what follows them."""

    sequence: Sequence
    n_tokens: int
    is_decode: bool = False
    draft: tuple[int, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows of the batch that it takes."""
        return self.n_tokens + len(self.draft)

    @property
    def n_wanted(self) -> int:
        """Rows whose logits are looked at, the last ones."""
        if self.sequence.is_scored:
            return self.n_tokens
        return 1 + len(self.draft) if self.is_last else 0

    @property
    def is_last(self) -> bool:
        """Whether the last of these tokens is followed by sampling."""
        return self.n_tokens == self.sequence.n_left


def plan_batch(running: Rows[Sequence], n_batch: int, prefill_budget: int) -> list[Slice]:
    """Fill the next batch.

    1. Every decoding sequence gets its tokens, one or what its grammar forced: no stream waits for another's prompt.
    2. The rest, `prefill_budget` tokens at most, goes to prompts in the order of their arrival.
    """
    decoding: list[Sequence] = []
    prompts: list[Sequence] = []
    for sequence in running:
        (decoding if sequence.is_decoding else prompts).append(sequence)
    plan = [Slice(s, min(s.n_left, MOST_FORCED), is_decode=True) for s in decoding[:n_batch]]
    n_rows = sum(part.n_tokens for part in plan)
    if n_rows > n_batch:
        plan, n_rows = [Slice(part.sequence, 1, is_decode=True) for part in plan], len(plan)
    left = min(prefill_budget, n_batch - n_rows)
    for sequence in prompts:
        if left <= 0:
            break
        n_tokens = min(sequence.n_text, left, MOST_SCORED if sequence.is_scored else left)
        if n_tokens:
            plan.append(Slice(sequence, n_tokens))
            left -= n_tokens
    return plan


def fill_batch(batch: Batch, plan: Rows[Slice]) -> int:
    """Write the plan into the batch and return its rows; logits are wanted where something is sampled or scored."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wants_logits: list[int] = []
    for part in plan:
        sequence, n_rows, n_wanted = part.sequence, part.n_rows, part.n_wanted
        first = sequence.n_computed
        tokens += sequence.tokens[first : first + part.n_tokens]
        tokens += part.draft
        positions += range(sequence.position, sequence.position + n_rows)
        sequences += [sequence.seq_id] * n_rows
        wants_logits += [0] * (n_rows - n_wanted) + [1] * n_wanted
    n_rows = len(tokens)
    batch.tokens[:n_rows] = tokens
    batch.positions[:n_rows] = positions
    batch.sequences[:n_rows] = sequences
    batch.wants_logits[:n_rows] = wants_logits
    return n_rows


@dataclass(frozen=True, slots=True)
class StepBudget:
    """Prefill tokens per step, so that running streams feel another's prompt little.

    `decode_seconds` is a moving average of steps without prefill, `token_seconds` one of what a prompt token adds
    (short prompts count less: they pay for reading the weights). With streams running, a step may take about `STRETCH`
    times a pure decode step; without, it is bounded so that a cancelled request leaves soon. None until measured.
    """

    decode_seconds: float | None = None
    token_seconds: float | None = None

    def tokens(self, n_decoding: int, n_waiting: int, n_batch: int) -> int:
        """Return the prompt tokens that the next step may take.

        The more requests wait for their first token, compared with those that stream, the more of the step is theirs.
        """
        if self.token_seconds is None or self.token_seconds <= 0:
            return n_batch if n_waiting >= n_decoding else min(n_batch, 4 * MIN_CHUNK)
        if n_waiting >= n_decoding:
            seconds = LONGEST_STEP_SECONDS
        else:
            pressure = max(1.0, 4 * n_waiting / n_decoding)
            seconds = (STRETCH - 1) * pressure * (self.decode_seconds or LONGEST_STEP_SECONDS / STRETCH)
            seconds = min(seconds, LONGEST_STEP_SECONDS)
        return max(MIN_CHUNK, min(n_batch, int(seconds / self.token_seconds)))

    def after(self, seconds: float, n_decoding: int, n_prefill: int) -> StepBudget:
        """Return the budget that has learned from a step of that composition."""
        if n_prefill == 0:
            return replace(self, decode_seconds=_blend(self.decode_seconds, seconds))
        beyond = max(seconds - (self.decode_seconds or 0.0), 0.0) if n_decoding else seconds
        weight = min(1.0, n_prefill / TYPICAL_CHUNK)
        return replace(self, token_seconds=_blend(self.token_seconds, beyond / n_prefill, weight))


def _blend(average: float | None, sample: float, weight: float = 1.0) -> float:
    return sample if average is None else average + 0.2 * weight * (sample - average)
