"""From a row of logits to what the parent is told about it: sample, decode the text, notice the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import msgspec
import numpy as np

from ollamapy import wire
from ollamapy.errors import OllamapyError, RunnerError
from ollamapy.worker.candidates import Floats
from ollamapy.worker.constraint import Constraint
from ollamapy.worker.llama import Llama
from ollamapy.worker.plan import Slice
from ollamapy.worker.race import Race
from ollamapy.worker.sequence import Sequence

_WORTH_A_THREAD = 4


class Said(msgspec.Struct):
    """What one step adds to one sequence."""

    text: str = ""
    logprobs: list[wire.Logprob] = []


class Publisher:
    """Samples and keeps the books of sequences. `n_threads` may sample at once."""

    def __init__(self, llama: Llama, clock: Callable[[], float], n_threads: int = 1) -> None:
        self._llama = llama
        self._clock = clock
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(max(n_threads - 1, 1), thread_name_prefix="sampling")
        self._prepared: Future[None] | None = None
        self._race = Race()
        self.n_drafted = self.n_accepted = 0

    def prepare(self, constraints: list[Constraint]) -> None:
        """Begin to compute the masks of these constraints in another thread; `finish_preparing` waits for it."""
        if constraints:
            self._prepared = self._pool.submit(_prepare_all, constraints)

    def finish_preparing(self) -> None:
        """Wait until what `prepare` began is done."""
        if self._prepared is not None:
            self._prepared.result()
            self._prepared = None

    def draw_all(self, due: list[tuple[Slice, int]]) -> list[int | OllamapyError]:
        """Sample the first token of each sequence from its batch row; an error stands for one that has none.

        Several threads do it where that has proved to be faster.
        """
        if min(self._n_threads, len(due) // _WORTH_A_THREAD) < 2:
            return [self._draw_or_error(*one) for one in due]
        started, way = self._clock(), self._race.choose()
        drawn = self._draw_in_threads(due) if way else [self._draw_or_error(*one) for one in due]
        self._race.learn(way, self._clock() - started, len(due))
        return drawn

    def _draw_in_threads(self, due: list[tuple[Slice, int]]) -> list[int | OllamapyError]:
        self._llama.settle()
        size = -(-len(due) // min(self._n_threads, len(due) // _WORTH_A_THREAD))
        parts = [due[at : at + size] for at in range(size, len(due), size)]
        others = [self._pool.submit(lambda part: [self._draw_or_error(*one) for one in part], part) for part in parts]
        drawn = [self._draw_or_error(*one) for one in due[:size]]
        return drawn + [token for other in others for token in other.result()]

    def _draw_or_error(self, part: Slice, row: int) -> int | OllamapyError:
        try:
            return self.draw(part.sequence, row)
        except OllamapyError as exc:
            return exc

    def draw(self, sequence: Sequence, row: int) -> int:
        """Sample a token from a batch row.

        Raises RunnerError for logits that are no numbers, and InvalidInputError for a grammar that can't go on.
        """
        if sequence.constraint is None:
            token = sequence.sampler.sample(row)
        else:
            token = self._draw_allowed(sequence, sequence.constraint, row)
        if not math.isfinite(self._llama.logit(row, token)):
            raise RunnerError("the model's output is not a number; its file may be damaged: create or pull it again")
        return token

    def _draw_allowed(self, sequence: Sequence, constraint: Constraint, row: int) -> int:
        mask, logits = constraint.mask(), self._llama.logits(row)
        if mask.forbids is not None:
            np.copyto(logits, -np.inf, where=mask.forbids)
            return sequence.sampler.sample(row)
        kept = logits[mask.allowed]
        if sequence.request.logprobs:
            logits.fill(-np.inf)
            logits[mask.allowed] = kept
        return sequence.sampler.choose(mask.allowed, kept)

    def advance(self, sequence: Sequence, row: int, token: int, draft: tuple[int, ...]) -> wire.Output:
        """Append the token drawn from `row`, and go on over the rows behind it for as long as the draft comes true.

        Row `row + i` belongs to `draft[i - 1]`. Each row is sampled by the sequence's own chain, so the tokens are the
        same that come one by one. Sets `finish_reason` where the answer ends; raises as `draw` does.
        """
        n_before = len(sequence.tokens)
        begun = None if sequence.n_generated else (sequence.n_prompt, sequence.n_cached)
        said, n_true = self._follow(sequence, row, token, draft)
        sequence.n_fresh = len(sequence.tokens) - sequence.n_computed
        if sequence.ahead.guess is not None:
            sequence.ahead.learn(sequence.tokens[n_before:], len(draft), n_true)
        finished, told = None, sequence.prompt_logprobs
        if told:
            sequence.prompt_logprobs = []
        if sequence.finish_reason is not None:
            said.text += sequence.text.close()
            finished = self._finished(sequence, sequence.finish_reason)
        n_tokens = len(sequence.tokens) - n_before
        return wire.Output(sequence.id, said.text, said.logprobs, finished, told, n_tokens, begun)

    def _follow(self, sequence: Sequence, row: int, token: int, draft: tuple[int, ...]) -> tuple[Said, int]:
        """Do what `advance` says; return what is said, and how much of the draft came true."""
        said, n_true = Said(), 0
        while True:
            self._take(sequence, row + n_true, token, said)
            while n_true < len(draft) and sequence.n_left and draft[n_true] == sequence.tokens[sequence.n_computed]:
                sequence.n_computed += 1
                n_true += 1
            if sequence.n_left or sequence.finish_reason is not None:
                break
            token = self.draw(sequence, row + n_true)
        self.n_drafted += len(draft)
        self.n_accepted += n_true
        return said, n_true

    def score(self, sequence: Sequence, row: int, n_rows: int) -> None:
        """Note how likely the tokens of the prompt were that follow the next `n_rows`, whose logits begin at `row`.

        What was computed before the sequence lost its cells is not noted again. A BOS that nobody wrote has no text.
        """
        request, noted = sequence.request, sequence.prompt_logprobs
        if not noted:
            piece = self._llama.piece(sequence.tokens[0])
            is_added = request.add_special and piece == self._llama.bos_token.encode()
            noted.append(wire.Logprob(b"" if is_added else piece, 0.0, []))
        first = sequence.n_computed + 1  # the position of the token that the first of the rows tells about
        for position in range(max(first, len(noted)), min(first + n_rows, sequence.n_prompt)):
            scores = log_softmax(self._llama.logits(row + position - first))
            noted.append(self._logprob(scores, sequence.tokens[position], request.top_logprobs))

    def _take(self, sequence: Sequence, row: int, token: int, said: Said) -> None:
        """Append a sampled token, and those that the grammar forces behind it."""
        scores = log_softmax(self._llama.logits(row)) if sequence.request.logprobs else None
        if sequence.first_token is None:
            sequence.first_token = self._clock()
        said.text += self._append(sequence, token)
        if scores is not None:
            said.logprobs.append(self._logprob(scores, token, sequence.request.top_logprobs))
        if sequence.constraint is not None and sequence.finish_reason is None:
            self._take_forced(sequence, sequence.constraint, said)

    def _take_forced(self, sequence: Sequence, constraint: Constraint, said: Said) -> None:
        for forced in constraint.forced()[: max(sequence.context + 1 - len(sequence.tokens), 0)]:
            sequence.sampler.accept((forced,))
            said.text += self._append(sequence, forced)
            if sequence.request.logprobs:
                piece = self._llama.piece(forced)
                said.logprobs.append(wire.Logprob(piece, 0.0, [(piece, 0.0)] if sequence.request.top_logprobs else []))
            if sequence.finish_reason is not None:
                return

    def _append(self, sequence: Sequence, token: int) -> str:
        """Append a token; return the text that is now certain.

        Sets `finish_reason` at an end: 1 the model's, 2 a stop string, 3 the grammar, 4 max_tokens, 5 num_ctx.
        """
        sequence.n_generated += 1
        piece = self._llama.spoken(token)
        if piece is None:  # 1
            sequence.finish_reason = "stop"
            return ""
        sequence.tokens.append(token)
        text = sequence.text.feed(self._llama.piece(token) if token in sequence.visible else piece)
        constraint = sequence.constraint
        if sequence.text.stopped_by is not None or (constraint is not None and constraint.accept(token)):  # 2, 3
            sequence.finish_reason = "stop"
        elif sequence.n_generated >= sequence.max_tokens or (
            len(sequence.tokens) >= sequence.context and not sequence.request.shift
        ):  # 4, 5
            sequence.finish_reason = "length"
        return text

    def _logprob(self, scores: Floats, token: int, n_top: int) -> wire.Logprob:
        top: list[tuple[bytes, float]] = []
        if n_top > 0:
            best = np.argpartition(scores, -n_top)[-n_top:]
            best = best[np.argsort(-scores[best], kind="stable")]
            possible = best[np.isfinite(scores[best])]
            top = [(self._llama.piece(int(i)), float(scores[i])) for i in possible]
        return wire.Logprob(self._llama.piece(token), float(scores[token]), top)

    def _finished(self, sequence: Sequence, reason: Literal["stop", "length"]) -> wire.Finished:
        now = self._clock()
        started = now if sequence.started is None else sequence.started
        first = now if sequence.first_token is None else sequence.first_token
        return wire.Finished(
            reason=reason,
            prompt_tokens=sequence.n_prompt,
            cached_tokens=sequence.n_cached,
            completion_tokens=sequence.n_generated,
            prompt_seconds=first - started,
            completion_seconds=now - first,
            stop=sequence.text.stopped_by,
            tokens=list(sequence.tokens) if sequence.request.return_tokens else None,
            draft_tokens=sequence.ahead.n_drafted,
            accepted_tokens=sequence.ahead.n_accepted,
        )


def log_softmax(logits: Floats) -> Floats:
    """Return the log probabilities of a row, (n_vocab,) float32."""
    top = logits.max()
    return np.asarray(logits - (top + np.log(np.exp(logits - top).sum())), np.float32)


def _prepare_all(constraints: list[Constraint]) -> None:
    for constraint in constraints:
        constraint.prepare()
