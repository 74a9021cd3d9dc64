"""Merges the levels of options and turns them into what a worker needs: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ollamapy import wire
from ollamapy.types import Options

DEFAULT_NUM_CTX = 4096
LEAST_NUM_CTX = 4
DEFAULT_NUM_KEEP = 4
DEFAULT_NUM_BATCH = 512
MAX_SEED = 0xFFFFFFFF
PREDICT_FACTOR = 10  # an answer has at most this many times num_ctx tokens

_OPTIONS = {field.name for field in fields(Options)}
_SAMPLING_FIELDS = tuple(name for name in wire.Sampling.__struct_fields__ if name in _OPTIONS)


def merge_options(request: Options, model: Options, fallback: Options) -> Options:
    """Return the options that are set: the request's before the model's before the dialect's own defaults."""
    return request.over(model).over(fallback)


def context_tokens(options: Options, default: int, trained: int) -> int:
    """Return num_ctx for a request: what was asked for, else the default, never more than the model was trained on.

    0 means unset for each of the three.
    """
    wanted = max(options.num_ctx or default or DEFAULT_NUM_CTX, LEAST_NUM_CTX)
    return min(wanted, trained) if trained > 0 else wanted


def sampling_of(options: Options, num_ctx: int, logit_bias: Mapping[int, float] | None = None) -> wire.Sampling:
    """Return the sampler chain of these options; what is unset has the default of `wire.Sampling`, Ollama's."""
    given = {name: value for name in _SAMPLING_FIELDS if (value := getattr(options, name)) is not None}
    if options.seed is not None:
        given["seed"] = -1 if options.seed < 0 else options.seed & MAX_SEED
    if given.get("repeat_last_n", 0) < 0:
        given["repeat_last_n"] = num_ctx
    if logit_bias:
        given["logit_bias"] = dict(logit_bias)
    return wire.Sampling(**given)


def most_tokens(options: Options, num_ctx: int) -> int:
    """Return how many tokens an answer may have."""
    most = PREDICT_FACTOR * num_ctx
    wanted = -1 if options.num_predict is None else options.num_predict
    return most if wanted < 0 else min(wanted, most)


def kept_tokens(options: Options, num_ctx: int) -> int:
    """Return how many leading tokens survive a context shift; negative asks for as many as possible."""
    wanted = DEFAULT_NUM_KEEP if options.num_keep is None else options.num_keep
    return num_ctx if wanted < 0 else min(wanted, num_ctx)
