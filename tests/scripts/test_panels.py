"""scripts/llama/panels_core.h, as it is compiled into the installed llama.cpp: products of quantised matrices."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize
from numpy.typing import NDArray

from tests.scripts.ggml import Floats, Type, computed, libraries

TYPES = (Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K)
HALVES = {Type.Q8_0: (0,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,)}
"""Where in a block its numbers of half precision stand; all other bytes may have any value."""
TOLERANCE = 2e-6

Bytes = NDArray[np.uint8]


def multiplies_panels() -> bool:
    """Whether the products are ours on this machine."""
    return bool(libraries()[1].ggml_cpu_multiplies_panels())


def product(kind: Type, weights: Bytes, tokens: Floats, threads: int) -> Floats:
    """Return (tokens, rows): each token times each row, computed by ggml's CPU backend."""
    shape = (len(tokens), len(weights))
    return computed(
        lambda g: g.base.ggml_mul_mat(
            g.handle,
            g.tensor(kind, (shape[1], tokens.shape[1]), weights),
            g.tensor(Type.F32, tokens.shape, tokens),
        ),
        shape,
        threads,
    )


def some_weights(kind: Type, rows: int, blocks: int, seed: int) -> Bytes:
    """Return (rows, bytes): random blocks."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (rows, blocks, GGML_QUANT_SIZES[kind][1]), np.uint8)
    if kind == Type.Q8_0 and not multiplies_panels():
        made[made == 128] = 129  # llama.cpp's own product is wrong about -128
    for at in HALVES[kind]:
        scales = rng.uniform(-0.02, 0.02, (rows, blocks, 1)).astype("<f2")
        made[..., at : at + 2] = scales.view(np.uint8)
    return made.reshape(rows, -1)


def some_tokens(kind: Type, count: int, blocks: int, seed: int) -> Floats:
    """Return numbers that the blocks of tokens hold exactly: a power of two times at most 127, which each block has."""
    rng, size = np.random.default_rng(seed), GGML_QUANT_SIZES[kind][0]
    numbers = rng.integers(-126, 127, (count, blocks, size))
    numbers[..., 5] = 127
    return (numbers * 2.0 ** rng.integers(-9, 1, (count, blocks, 1))).astype(np.float32).reshape(count, -1)


def error(made: Floats, kind: Type, weights: Bytes, tokens: Floats) -> float:
    """Return the largest error, as a share of the sum of the sizes of what was added up."""
    rows, columns = dequantize(weights, kind).astype(np.float64), tokens.astype(np.float64).T
    return float((np.abs(made.T - rows @ columns) / (np.abs(rows) @ np.abs(columns))).max())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("kind", TYPES)
def test_a_product_is_right(kind: Type, rows: int, blocks: int, threads: int) -> None:
    weights = some_weights(kind, rows, blocks, seed=rows + blocks)
    for count in (1, 2, 5, 7, 8, 9, 16, 17, 40):
        tokens = some_tokens(kind, count, blocks, seed=count)
        assert error(product(kind, weights, tokens, threads), kind, weights, tokens) < TOLERANCE


@pytest.mark.parametrize("count", [127, 128, 129, 300])
@pytest.mark.parametrize("kind", TYPES)
def test_a_long_prompt_is_right(kind: Type, count: int) -> None:
    weights, tokens = some_weights(kind, 33, 3, seed=1), some_tokens(kind, count, 3, seed=2)
    assert error(product(kind, weights, tokens, 2), kind, weights, tokens) < TOLERANCE


@pytest.mark.parametrize("kind", TYPES)
def test_a_token_is_computed_alone_as_among_others(kind: Type) -> None:
    if not multiplies_panels():
        pytest.skip("this processor has no AVX-512 VNNI")
    weights, tokens = some_weights(kind, 50, 6, seed=3), some_tokens(kind, 140, 6, seed=4)
    together = product(kind, weights, tokens, 2)
    for count in range(1, 20):
        for threads in (1, 2):
            assert np.array_equal(product(kind, weights, tokens[:count], threads), together[:count])


@pytest.mark.parametrize("kind", TYPES)
def test_more_threads_than_panels_are_no_harm(kind: Type) -> None:
    weights, tokens = some_weights(kind, 20, 2, seed=5), some_tokens(kind, 3, 2, seed=6)
    assert error(product(kind, weights, tokens, 7), kind, weights, tokens) < TOLERANCE


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", TYPES)
def test_a_scale_that_is_no_number_comes_through(kind: Type, value: float) -> None:
    weights, tokens = some_weights(kind, 20, 2, seed=7), some_tokens(kind, 3, 2, seed=8)
    for at in HALVES[kind]:
        weights[4, at : at + 2] = np.array(value, "<f2").reshape(1).view(np.uint8)
    made = product(kind, weights, tokens, 2)
    assert not np.isfinite(made[:, 4]).any()
    assert np.isfinite(np.delete(made, 4, axis=1)).all()
