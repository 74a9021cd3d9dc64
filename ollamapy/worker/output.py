"""From a row of logits to what the parent is told about it: sample, decode the text, notice the end."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ollamapy import wire
from ollamapy.errors import RunnerError
from ollamapy.worker.llama import Floats, Llama
from ollamapy.worker.sequence import Sequence


class Publisher:
    """Samples for one sequence at a time and keeps its books."""

    def __init__(self, llama: Llama, clock: Callable[[], float]) -> None:
        self._llama = llama
        self._clock = clock

    def sample(self, sequence: Sequence, row: int) -> wire.Output:
        """Sample from batch row `row`, append the token to the sequence and return its share of the step.

        Sets `finish_reason` when the answer ends here. Raises RunnerError for logits that are no numbers, and
        InvalidInputError for a grammar that can't go on.
        """
        logprobs: list[wire.Logprob] = []
        if sequence.constraint is not None:
            sequence.constraint.mask(self._llama.logits(row))
        scores = log_softmax(self._llama.logits(row)) if sequence.request.logprobs else None
        token = sequence.sampler.sample(row)
        if not math.isfinite(self._llama.logit(row, token)):
            raise RunnerError("the model's output is not a number; its file may be damaged: create or pull it again")
        sequence.n_generated += 1
        if sequence.first_token is None:
            sequence.first_token = self._clock()
        text = self._append(sequence, token)
        if scores is not None:
            logprobs.append(self._logprob(scores, token, sequence.request.top_logprobs))
        if sequence.finish_reason is not None:
            text += sequence.text.close()
        return wire.Output(sequence.id, text, logprobs, self._finished(sequence))

    def _append(self, sequence: Sequence, token: int) -> str:
        """Numbered ends: 1 the model's own, 2 a stop string, 3 the grammar, 4 max_tokens, 5 the context."""
        if self._llama.is_end(token):  # 1
            sequence.finish_reason = "stop"
            return ""
        sequence.tokens.append(token)
        text = sequence.text.feed(self._llama.piece(token, special=token in sequence.visible))
        constraint = sequence.constraint
        if sequence.text.stopped_by is not None or (constraint is not None and constraint.accept(token)):  # 2, 3
            sequence.finish_reason = "stop"
        elif sequence.n_generated >= sequence.max_tokens or (
            not sequence.request.shift and len(sequence.tokens) >= sequence.request.num_ctx
        ):  # 4
            sequence.finish_reason = "length"
        return text

    def _logprob(self, scores: Floats, token: int, n_top: int) -> wire.Logprob:
        top: list[tuple[bytes, float]] = []
        if n_top > 0:
            best = np.argpartition(scores, -n_top)[-n_top:]
            best = best[np.argsort(-scores[best], kind="stable")]
            top = [(self._llama.piece(int(i), special=True), float(scores[i])) for i in best]
        return wire.Logprob(self._llama.piece(token, special=True), float(scores[token]), top)

    def _finished(self, sequence: Sequence) -> wire.Finished | None:
        if sequence.finish_reason is None:
            return None
        now = self._clock()
        started = now if sequence.started is None else sequence.started
        first = now if sequence.first_token is None else sequence.first_token
        return wire.Finished(
            reason=sequence.finish_reason,
            prompt_tokens=sequence.n_prompt,
            cached_tokens=sequence.n_cached,
            completion_tokens=sequence.n_generated,
            prompt_seconds=first - started,
            completion_seconds=now - first,
            stop=sequence.text.stopped_by,
            tokens=list(sequence.tokens) if sequence.request.return_tokens else None,
        )


def log_softmax(logits: Floats) -> Floats:
    """Return the log probabilities of a row, (n_vocab,) float32."""
    top = logits.max()
    return np.asarray(logits - (top + np.log(np.exp(logits - top).sum())), np.float32)
