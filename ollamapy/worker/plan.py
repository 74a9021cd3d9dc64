"""Which tokens go into the next decode: a pure decision over the running sequences."""

from __future__ import annotations

from collections.abc import Sequence as Rows

import msgspec

from ollamapy.worker.budget import TILE_ROWS
from ollamapy.worker.constraint import Constraint
from ollamapy.worker.llama import Batch
from ollamapy.worker.sequence import Sequence

MOST_SCORED = 64  # tokens of a prompt in one step whose logits are all kept: each has a row of the vocabulary's size
LARGE_CHUNK = 128  # prompt tokens that are worth computing in tiles
LEAST_ROOM = 16
DEPTH_SHARE = 4  # a prompt's own cells are as dear below tiles as so many times the cells of the streams in tiles
MOST_FORCED = 32  # tokens of one sequence and step: the other streams wait for them


class Slice(msgspec.Struct, frozen=True, eq=False):
    """`n_tokens` of a sequence, from its first uncomputed one on, and guesses of what follows them.

    With `is_last` nothing is left of the sequence behind them, and a token is sampled.
    """

    sequence: Sequence
    n_tokens: int
    is_last: bool
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


class Plan(msgspec.Struct, frozen=True, eq=False):
    """What one decode computes: `n_decoding` parts of streams come first, then `n_prefill` tokens of prompts.

    `n_rows` is the size of the batch, guesses included. A token is sampled for each part in `due`, from the row behind
    it on, under the `constraints` of some.
    """

    parts: list[Slice]
    n_decoding: int
    n_prefill: int
    n_rows: int
    due: list[tuple[Slice, int]]
    constraints: list[Constraint]
    has_guesses: bool

    @property
    def is_longer(self) -> bool:
        """Whether streams have more than a row each: guessed tokens, or what their grammar forced."""
        return self.n_rows > self.n_decoding + self.n_prefill

    def is_round(self, n_running: int) -> bool:
        """Whether it has one token of each of so many sequences, so that the next step may be the same again."""
        return not self.n_prefill and n_running == self.n_rows == len(self.due)


def split(running: Rows[Sequence]) -> tuple[list[Sequence], list[Sequence]]:
    """Return the sequences that decode and those in prefill, each in their order."""
    decoding: list[Sequence] = []
    prompts: list[Sequence] = []
    for sequence in running:
        (decoding if sequence.is_decoding else prompts).append(sequence)
    return decoding, prompts


def take_turns(decoding: list[Sequence], *, has_prompts: bool) -> list[Sequence]:
    """Return the streams that get a token in a step with tiles: those that waited longest, if it can't be all.

    With `TILE_ROWS` and more, half of them in half the time is a better step; prompts get a little room beside them.
    """
    most = TILE_ROWS - 1 - (LEAST_ROOM if has_prompts else 0)
    return decoding if len(decoding) <= most else sorted(decoding, key=_last_step)[:most]


def below_tiles(decoding: Rows[Sequence], prompts: Rows[Sequence], budget: int) -> int:
    """Return the prompt tokens for a step among many streams, with tiles; no more than `budget`.

    From `TILE_ROWS` rows on, llama.cpp's own attention computes the cells of all streams for every row. A row more then
    costs as much as ten. Only a prompt with a long context of its own, or a large chunk, is worth that.
    """
    room = TILE_ROWS - 1 - len(decoding)
    n_tokens = min(budget, sum(sequence.n_text for sequence in prompts))
    if not decoding or not LEAST_ROOM <= room < n_tokens < LARGE_CHUNK:
        return budget
    own = max(sequence.n_computed for sequence in prompts) + n_tokens
    is_deep = DEPTH_SHARE * own > sum(sequence.n_computed for sequence in decoding)
    return budget if is_deep else room


def plan_batch(decoding: Rows[Sequence], prompts: Rows[Sequence], n_batch: int, prefill_budget: int) -> Plan:
    """Fill the next batch.

    1. Every decoding sequence gets its tokens, one or what its grammar forced: no stream waits for another's prompt.
    2. The rest, `prefill_budget` tokens at most, goes to prompts in the order of their arrival.
    """
    parts = [_part(sequence, MOST_FORCED) for sequence in decoding[:n_batch]]
    n_decoding, n_rows = len(parts), sum(part.n_tokens for part in parts)
    if n_rows > n_batch:
        parts, n_rows = [_part(sequence, 1) for sequence in decoding[:n_batch]], n_decoding
    n_prefill, most_prefill = 0, min(prefill_budget, n_batch - n_rows)
    for sequence in prompts:
        left = most_prefill - n_prefill
        if left <= 0:
            break
        n_tokens = min(sequence.n_text, left, MOST_SCORED if sequence.is_scored else left)
        if n_tokens:
            parts.append(_part(sequence, n_tokens))
            n_prefill += n_tokens
    return plan_of(parts, n_decoding, n_prefill)


def plan_of(parts: list[Slice], n_decoding: int, n_prefill: int = 0) -> Plan:
    """Return the plan of these parts."""
    due: list[tuple[Slice, int]] = []
    row = 0
    for part in parts:
        if part.is_last:
            due.append((part, row + part.n_tokens - 1))
        row += part.n_rows
    constraints = [made for part, _ in due if (made := part.sequence.constraint) is not None]
    has_guesses = any(part.draft for part in parts)
    return Plan(parts, n_decoding, n_prefill, row, due, constraints, has_guesses)


def _last_step(sequence: Sequence) -> int:
    return sequence.last_step


def _part(sequence: Sequence, most: int) -> Slice:
    n_left = sequence.n_left
    return Slice(sequence, most, is_last=False) if n_left > most else Slice(sequence, n_left, is_last=True)


def fill_batch(batch: Batch, parts: Rows[Slice]) -> None:
    """Write the rows of a plan into the batch; logits are wanted where something is sampled or scored."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wants_logits: list[int] = []
    for part in parts:
        sequence, n_tokens = part.sequence, part.n_tokens
        first, position, n_wanted = sequence.n_computed, sequence.position, part.n_wanted
        if n_tokens == 1 == n_wanted:  # nearly always: one token of a stream
            tokens.append(sequence.tokens[first])
            positions.append(position)
            sequences.append(sequence.seq_id)
            wants_logits.append(1)
            continue
        n_rows = part.n_rows
        tokens += sequence.tokens[first : first + n_tokens]
        tokens += part.draft
        positions += range(position, position + n_rows)
        sequences += [sequence.seq_id] * n_rows
        wants_logits += [0] * (n_rows - n_wanted) + [1] * n_wanted
    n_rows = len(tokens)
    batch.tokens[:n_rows] = tokens
    batch.positions[:n_rows] = positions
    batch.sequences[:n_rows] = sequences
    batch.wants_logits[:n_rows] = wants_logits
