"""A sampler that looks at the likeliest tokens alone draws what it draws from all of them."""

from __future__ import annotations

import numpy as np
import pytest
from llama_cpp import llama_cpp as api

from ollamapy.wire import Sampling
from ollamapy.worker.candidates import likeliest
from ollamapy.worker.sampling import Sampler, Stages

N_VOCAB, N_CTX, DRAWS = 50_021, 4096, 60
BOUNDED = {
    "usual": Sampling(seed=3),
    "greedy": Sampling(temperature=0.0),
    "greedy with penalties": Sampling(temperature=0.0, repeat_penalty=1.4, presence_penalty=0.5),
    "penalties": Sampling(seed=4, repeat_penalty=1.3, frequency_penalty=0.7, repeat_last_n=20),
    "one": Sampling(seed=5, top_k=1),
    "all truncations": Sampling(seed=6, top_k=60, top_p=0.8, min_p=0.05, typical_p=0.9, xtc_probability=0.5),
}
UNBOUNDED = {
    "no top_k": Sampling(top_k=0),
    "a large top_k": Sampling(top_k=1000),
    "likelier by a penalty": Sampling(repeat_penalty=0.9),
    "likelier by a bias": Sampling(logit_bias={7: 100.0}),
    "by all logits": Sampling(top_n_sigma=1.0),
    "mirostat": Sampling(mirostat=2),
    "a long window": Sampling(repeat_penalty=1.1, repeat_last_n=-1),
}


def sampler(sampling: Sampling) -> tuple[Sampler, int]:
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    stages = Stages(sampling, None, N_VOCAB, N_CTX)
    for stage in stages.make():
        api.llama_sampler_chain_add(chain, stage)
    return Sampler(chain, None, stages), stages.n_candidates


@pytest.mark.parametrize("sampling", BOUNDED.values(), ids=BOUNDED)
def test_the_likeliest_tokens_decide(sampling: Sampling) -> None:
    (some, n_candidates), (every, _) = sampler(sampling), sampler(sampling)
    rng, all_ids = np.random.default_rng(1), np.arange(N_VOCAB, dtype=np.int32)
    favourites = rng.choice(N_VOCAB, 50, replace=False)  # drawn again and again, so that penalties matter
    drawn = set()
    for _ in range(DRAWS):
        logits = rng.normal(size=N_VOCAB).astype(np.float32)
        logits[favourites] += 5
        ids = likeliest(logits, n_candidates)
        assert ids is not None
        assert n_candidates <= len(ids) < 4 * n_candidates
        token = some.choose(ids, logits[ids])
        assert token == every.choose(all_ids, logits)
        drawn.add(token)
    assert len(drawn) > 10
    some.close()
    every.close()


@pytest.mark.parametrize("sampling", UNBOUNDED.values(), ids=UNBOUNDED)
def test_where_any_token_may_count_all_are_looked_at(sampling: Sampling) -> None:
    made, n_candidates = sampler(sampling)
    assert n_candidates == 0
    made.close()


def test_a_small_vocabulary_is_looked_at_as_a_whole() -> None:
    assert likeliest(np.zeros(2048, np.float32), 40) is None


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_logits_that_are_no_numbers_are_left_to_the_chain(value: float) -> None:
    logits = np.full(N_VOCAB, value, np.float32)
    logits[:30] = 1.0
    assert likeliest(logits, 40) is None


def test_equal_logits_leave_nobody_out() -> None:
    ids = likeliest(np.zeros(N_VOCAB, np.float32), 40)
    assert ids is not None
    assert len(ids) == N_VOCAB
