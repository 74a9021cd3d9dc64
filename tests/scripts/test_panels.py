"""scripts/llama/q8_0_panels.h, as it is compiled into the installed llama.cpp: products of Q8_0 matrices."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

BLOCK = 32
Q8_0 = np.dtype([("scale", "<f2"), ("numbers", "i1", BLOCK)])
F32_TYPE, Q8_0_TYPE = 0, 8
MEMORY_BYTES = 64 << 20

Floats = NDArray[np.float32]


class InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


@cache
def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """Return ggml's base and its CPU backend, with the types of what is called here."""
    folder = Path(str(files("llama_cpp"))) / "lib"
    base, cpu = (ctypes.CDLL(str(next(folder.glob(f"libggml-{part}.*")))) for part in ("base", "cpu"))
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    for function, arguments in (
        (base.ggml_init, [InitParams]),
        (base.ggml_new_tensor_2d, [pointer, ctypes.c_int, size, size]),
        (base.ggml_mul_mat, [pointer, pointer, pointer]),
        (base.ggml_get_data, [pointer]),
        (base.ggml_new_graph, [pointer]),
    ):
        function.restype, function.argtypes = pointer, arguments
    base.ggml_build_forward_expand.argtypes = [pointer, pointer]
    base.ggml_free.argtypes = [pointer]
    cpu.ggml_graph_compute_with_ctx.argtypes = [pointer, pointer, ctypes.c_int]
    cpu.ggml_cpu_init()
    return base, cpu


def multiplies_panels() -> bool:
    """Whether the products are ours on this machine."""
    return bool(libraries()[1].ggml_cpu_multiplies_panels())


def product(weights: NDArray[np.void], tokens: Floats, threads: int) -> Floats:
    """Return (tokens, rows): each token times each row, computed by ggml's CPU backend."""
    base, cpu = libraries()
    (m, k), n = weights.shape, len(tokens)
    context = base.ggml_init(InitParams(MEMORY_BYTES, None, False))
    try:
        a = base.ggml_new_tensor_2d(context, Q8_0_TYPE, k * BLOCK, m)
        b = base.ggml_new_tensor_2d(context, F32_TYPE, k * BLOCK, n)
        ctypes.memmove(base.ggml_get_data(a), weights.tobytes(), weights.nbytes)
        ctypes.memmove(base.ggml_get_data(b), tokens.tobytes(), tokens.nbytes)
        c = base.ggml_mul_mat(context, a, b)
        graph = base.ggml_new_graph(context)
        base.ggml_build_forward_expand(graph, c)
        assert cpu.ggml_graph_compute_with_ctx(context, graph, threads) == 0
        return np.frombuffer(ctypes.string_at(base.ggml_get_data(c), 4 * n * m), np.float32).reshape(n, m)
    finally:
        base.ggml_free(context)


def some_weights(rows: int, blocks: int, seed: int) -> NDArray[np.void]:
    """Return random blocks with all numbers that a file may hold."""
    rng = np.random.default_rng(seed)
    made = np.zeros((rows, blocks), Q8_0)
    made["scale"] = rng.uniform(-0.02, 0.02, made.shape)
    lowest = -128 if multiplies_panels() else -127  # llama.cpp's own product is wrong about -128
    made["numbers"] = rng.integers(lowest, 128, (rows, blocks, BLOCK))
    return made


def some_tokens(count: int, blocks: int, seed: int) -> Floats:
    """Return numbers that Q8_0 holds exactly: a power of two times at most 127, which each block has."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-127, 128, (count, blocks, BLOCK))
    numbers[..., 5] = 127
    return (numbers * 2.0 ** rng.integers(-9, 1, (count, blocks, 1))).astype(np.float32).reshape(count, -1)


def exact(weights: NDArray[np.void], tokens: Floats) -> NDArray[np.float64]:
    """Return the product in float64."""
    rows = weights["scale"].astype(np.float64)[..., None] * weights["numbers"]
    return np.asarray(tokens.astype(np.float64) @ rows.reshape(len(weights), -1).T)


def error(made: Floats, weights: NDArray[np.void], tokens: Floats) -> float:
    """Return the largest error, as a share of the sum of the sizes of what was added up."""
    sizes = weights.copy()
    sizes["scale"] = np.abs(sizes["scale"])
    sizes["numbers"] = np.minimum(np.abs(sizes["numbers"].astype(np.int16)), 127)
    return float((np.abs(made - exact(weights, tokens)) / exact(sizes, np.abs(tokens))).max())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 3, 28])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100])
def test_a_product_is_right(rows: int, blocks: int, threads: int) -> None:
    weights = some_weights(rows, blocks, seed=rows + blocks)
    for count in (1, 2, 5, 8, 9, 16, 17, 40):
        tokens = some_tokens(count, blocks, seed=count)
        assert error(product(weights, tokens, threads), weights, tokens) < 1e-6


@pytest.mark.parametrize("count", [127, 128, 129, 300])
def test_a_long_prompt_is_right(count: int) -> None:
    weights, tokens = some_weights(33, 5, seed=1), some_tokens(count, 5, seed=2)
    assert error(product(weights, tokens, 2), weights, tokens) < 1e-6


def test_a_token_is_computed_alone_as_among_others() -> None:
    if not multiplies_panels():
        pytest.skip("this processor has no AVX-512 VNNI")
    weights, tokens = some_weights(50, 28, seed=3), some_tokens(140, 28, seed=4)
    together = product(weights, tokens, 2)
    for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31):
        for threads in (1, 2):
            assert np.array_equal(product(weights, tokens[:count], threads), together[:count])


def test_more_threads_than_panels_are_no_harm() -> None:
    weights, tokens = some_weights(20, 2, seed=5), some_tokens(3, 2, seed=6)
    assert error(product(weights, tokens, 7), weights, tokens) < 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_scale_that_is_no_number_comes_through(value: float) -> None:
    weights, tokens = some_weights(20, 2, seed=7), some_tokens(3, 2, seed=8)
    weights["scale"][4, 1] = value
    made = product(weights, tokens, 2)
    assert not np.isfinite(made[:, 4]).any()
    assert np.isfinite(np.delete(made, 4, axis=1)).all()
