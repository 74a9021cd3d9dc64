import pytest

from ollamapy import wire
from ollamapy.actions.sampling import context_tokens, kept_tokens, merge_options, most_tokens, sampling_of
from ollamapy.types import Options


def test_the_request_counts_before_the_model_before_the_dialect():
    merged = merge_options(Options(top_k=1), Options(top_k=2, top_p=0.2), Options(top_p=1.0, temperature=1.0))
    assert (merged.top_k, merged.top_p, merged.temperature, merged.min_p) == (1, 0.2, 1.0, None)


@pytest.mark.parametrize(
    ("asked", "default", "trained", "expected"),
    [(None, 0, 0, 4096), (None, 0, 512, 512), (None, 8192, 32768, 8192), (100, 8192, 32768, 100), (0, 0, 0, 4096)],
)
def test_the_context_is_bounded_by_what_the_model_was_trained_on(asked, default, trained, expected):
    assert context_tokens(Options(num_ctx=asked), default, trained) == expected


def test_a_tiny_context_has_a_floor():
    assert context_tokens(Options(num_ctx=1), 0, 2048) == 4


def test_unset_options_have_the_defaults_of_the_wire():
    assert sampling_of(Options(), 512) == wire.Sampling()


def test_set_options_are_handed_on():
    sampling = sampling_of(Options(seed=7, temperature=0.0, top_k=3, repeat_last_n=-1), 512)
    assert (sampling.seed, sampling.temperature, sampling.top_k, sampling.repeat_last_n) == (7, 0.0, 3, 512)


@pytest.mark.parametrize(("seed", "expected"), [(-1, -1), (-5, -1), (1 << 32, 0), ((1 << 63) - 1, 0xFFFFFFFF)])
def test_a_seed_fits_32_bits(seed, expected):
    assert sampling_of(Options(seed=seed), 512).seed == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, 640), (-1, 640), (-2, 640), (0, 0), (5, 5), (10**6, 640)])
def test_an_answer_has_at_most_ten_contexts(asked, expected):
    assert most_tokens(Options(num_predict=asked), 64) == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, 4), (-1, 64), (0, 0), (10, 10), (100, 64)])
def test_a_shift_keeps_at_most_the_context(asked, expected):
    assert kept_tokens(Options(num_keep=asked), 64) == expected
