"""The stages of one request's sampler chain, in Ollama's order."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llama_cpp import llama_cpp as api

from ollamapy.wire import Sampling

Handle = Any

_MIROSTAT_CANDIDATES = 100


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
