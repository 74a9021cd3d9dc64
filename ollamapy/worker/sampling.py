"""One request's sampler chain and its stages, in Ollama's order."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as api

from ollamapy.wire import Sampling
from ollamapy.worker.candidates import Floats, Ints, likeliest

Handle = Any

_MIROSTAT_CANDIDATES = 100
_MOST_CANDIDATES = 512
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


@dataclass(frozen=True, slots=True)
class Stages:
    """What `sampling` asks for, for a model with this vocabulary and a context of `n_ctx` tokens."""

    sampling: Sampling
    vocab: Handle
    n_vocab: int
    n_ctx: int

    @property
    def penalty_window(self) -> int:
        """Over how many tokens the penalties look back."""
        s = self.sampling
        windows = [s.repeat_last_n] if _has_penalties(s) else []
        windows += [s.dry_penalty_last_n] if s.dry_multiplier > 0 else []
        return max(map(self._window, windows), default=0)

    @property
    def n_candidates(self) -> int:
        """How many of the likeliest tokens decide, whatever the other logits are; 0 where all may count.

        A penalty makes no token likelier, and changes as many as its window has, so that others move up.
        """
        s = self.sampling
        raises = s.repeat_penalty < 1 or s.frequency_penalty < 0 or s.presence_penalty < 0
        if s.logit_bias or (_has_penalties(s) and raises):
            return 0
        if s.temperature > 0 and (s.mirostat or s.top_n_sigma > 0 or s.top_k <= 0):
            return 0
        n_kept = s.top_k if s.temperature > 0 else 1
        n_candidates = n_kept + self.penalty_window
        return n_candidates if n_candidates <= _MOST_CANDIDATES else 0

    def make(self) -> Iterator[Handle]:
        """Make the stages, which the chain frees that they are put into. Cheap truncation comes first."""
        s = self.sampling
        seed = s.seed & 0xFFFFFFFF
        yield from self._penalties()
        if s.temperature <= 0:
            yield api.llama_sampler_init_greedy()
        elif s.mirostat:
            yield api.llama_sampler_init_temp(s.temperature)
            yield self._mirostat(seed)
        else:
            yield from _truncations(s, seed)
            yield api.llama_sampler_init_temp(s.temperature)
            yield api.llama_sampler_init_dist(seed)

    def _window(self, size: int) -> int:
        """Return over how many tokens a penalty looks back; llama.cpp allocates and searches that many."""
        return self.n_ctx if size < 0 else min(size, self.n_ctx)

    def _penalties(self) -> Iterator[Handle]:
        s = self.sampling
        if s.logit_bias:
            pairs = [api.llama_logit_bias(token, bias) for token, bias in s.logit_bias.items()]
            biases = (api.llama_logit_bias * len(pairs))(*pairs)
            yield api.llama_sampler_init_logit_bias(self.n_vocab, len(biases), biases)
        if _has_penalties(s):
            window = self._window(s.repeat_last_n)
            yield api.llama_sampler_init_penalties(
                self.n_vocab, window, s.repeat_penalty, s.frequency_penalty, s.presence_penalty
            )
        if s.dry_multiplier > 0:
            yield self._dry()

    def _dry(self) -> Handle:
        s = self.sampling
        breakers = [text.encode() for text in s.dry_sequence_breakers]
        array = (ctypes.c_char_p * len(breakers))(*breakers)
        window = self._window(s.dry_penalty_last_n)
        return api.llama_sampler_init_dry(
            self.vocab, s.dry_multiplier, s.dry_base, s.dry_allowed_length, window, array, len(breakers)
        )

    def _mirostat(self, seed: int) -> Handle:
        s = self.sampling
        if s.mirostat == 1:
            return api.llama_sampler_init_mirostat(
                self.n_vocab, seed, s.mirostat_tau, s.mirostat_eta, _MIROSTAT_CANDIDATES
            )
        return api.llama_sampler_init_mirostat_v2(seed, s.mirostat_tau, s.mirostat_eta)


class Sampler:
    """A sampler chain of one request; stages run in Ollama's order."""

    def __init__(self, chain: Handle, context: Handle, stages: Stages) -> None:
        self._chain = chain
        self._context = context
        self._n_vocab = stages.n_vocab
        self._n_candidates = stages.n_candidates
        self.penalty_window = stages.penalty_window

    def sample(self, row: int) -> int:
        """Sample from the logits of batch row `row` and remember the token."""
        if self._n_candidates:
            logits = np.ctypeslib.as_array(api.llama_get_logits_ith(self._context, row), (self._n_vocab,))
            ids = likeliest(logits, self._n_candidates)
            if ids is not None:
                return self.choose(ids, logits[ids])
        return int(api.llama_sampler_sample(self._chain, self._context, row))

    def choose(self, ids: Ints, logits: Floats) -> int:
        """Choose one of these tokens, (n,) each and at least one, and remember it; others are no candidates.

        Where there is no choice, the chain's random numbers and its other state stay as they are.
        """
        if len(ids) == 1:
            token = int(ids[0])
            api.llama_sampler_accept(self._chain, token)
            return token
        rows = np.empty(len(ids), _CANDIDATE)
        rows["id"], rows["logit"], rows["p"] = ids, logits, 0.0
        data = ctypes.cast(ctypes.c_void_p(rows.ctypes.data), ctypes.POINTER(api.llama_token_data))
        candidates = api.llama_token_data_array(data, len(ids), -1, False)
        api.llama_sampler_apply(self._chain, ctypes.byref(candidates))
        token = int(candidates.data[max(candidates.selected, 0)].id)
        api.llama_sampler_accept(self._chain, token)
        return token

    def accept(self, tokens: Iterable[int]) -> None:
        """Remember tokens that were not sampled here, for the penalties."""
        for token in tokens:
            api.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain; the sampler can't be used afterwards."""
        if self._chain is not None:
            api.llama_sampler_free(self._chain)
            self._chain = None


def _truncations(s: Sampling, seed: int) -> Iterator[Handle]:
    if s.top_n_sigma > 0:
        yield api.llama_sampler_init_top_n_sigma(s.top_n_sigma)
    if s.top_k > 0:
        yield api.llama_sampler_init_top_k(s.top_k)
    if s.typical_p < 1:
        yield api.llama_sampler_init_typical(s.typical_p, 1)
    if s.top_p < 1:
        yield api.llama_sampler_init_top_p(s.top_p, 1)
    if s.min_p > 0:
        yield api.llama_sampler_init_min_p(s.min_p, 1)
    if s.xtc_probability > 0:
        yield api.llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, 1, seed)


def _has_penalties(s: Sampling) -> bool:
    changes = s.repeat_penalty != 1.0 or s.frequency_penalty != 0.0 or s.presence_penalty != 0.0
    return changes and s.repeat_last_n != 0
