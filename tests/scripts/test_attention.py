"""scripts/llama/attention.h, as it is compiled into the installed llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.scripts.ggml import Context, Floats, Handle, Type, computed, libraries

TOLERANCE = 1e-5 if libraries()[1].ggml_cpu_attends_in_blocks() else 6e-3
"""Of a mean of values between -1 and 1. llama.cpp's own, which other processors have, sums up in half precision."""

needs_blocks = pytest.mark.skipif(
    not libraries()[1].ggml_cpu_attends_in_blocks(), reason="this processor has no AVX-512"
)


@dataclass(frozen=True)
class Attention:
    """Some tokens' attention: their queries, the cells, and which of these each token sees (0, or minus infinity)."""

    queries: Floats  # (heads, tokens, width)
    keys: NDArray[np.float16]  # (KV heads, cells, width)
    values: NDArray[np.float16]  # (KV heads, cells, width of values)
    mask: NDArray[np.float16]  # (tokens, cells)
    max_bias: float = 0.0
    softcap: float = 0.0
    sinks: Floats | None = None  # (heads,)

    @property
    def scale(self) -> float:
        return float(self.queries.shape[-1] ** -0.5)

    def computed(self, threads: int = 2) -> Floats:
        """Return (tokens, heads, width of values) from the CPU backend."""
        heads, tokens, _ = self.queries.shape
        return computed(self._graph, (tokens, heads, self.values.shape[-1]), threads)

    def _graph(self, g: Context) -> Handle:
        q = g.tensor(Type.F32, self.queries.shape, self.queries)
        k = g.tensor(Type.F16, self.keys.shape, self.keys)
        v = g.tensor(Type.F16, self.values.shape, self.values)
        mask = g.tensor(Type.F16, self.mask.shape, self.mask)
        out: Handle = g.base.ggml_flash_attn_ext(g.handle, q, k, v, mask, self.scale, self.max_bias, self.softcap)
        if self.sinks is not None:
            g.base.ggml_flash_attn_ext_add_sinks(out, g.tensor(Type.F32, self.sinks.shape, self.sinks))
        return out

    def exact(self) -> NDArray[np.float64]:
        """Return the same by definition."""
        heads = len(self.queries)
        group = heads // len(self.keys)
        k, v = (np.repeat(cells.astype(np.float64), group, axis=0) for cells in (self.keys, self.values))
        scores = np.einsum("htd,hcd->htc", self.queries.astype(np.float64), k) * self.scale
        if self.softcap:
            scores = self.softcap * np.tanh(scores / self.softcap)
        scores += self.slopes()[:, None, None] * self.mask.astype(np.float64)
        extra = np.full((*scores.shape[:2], 1), -np.inf) if self.sinks is None else self._sink_column(scores)
        most = np.maximum(scores.max(-1, keepdims=True), extra)
        weights = np.exp(scores - np.where(np.isfinite(most), most, 0))
        total = weights.sum(-1, keepdims=True) + np.exp(extra - np.where(np.isfinite(most), most, 0))
        means = np.einsum("htc,hcd->thd", weights / np.where(total == 0, 1, total), v)
        return np.asarray(means)

    def _sink_column(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self.sinks is not None
        column = np.broadcast_to(self.sinks.astype(np.float64)[:, None, None], (*scores.shape[:2], 1))
        return np.asarray(column)

    def slopes(self) -> NDArray[np.float64]:
        """Return what the mask is multiplied with for each head: ALiBi."""
        heads = len(self.queries)
        power = 2 ** int(np.log2(heads))
        exponents = [h + 1 if h < power else (2 * (h - power) + 1) / 2 for h in range(heads)]
        return 2.0 ** (-self.max_bias * np.array(exponents) / power)

    def assert_right(self, threads: int = 2) -> None:
        """Check against the definition."""
        assert np.abs(self.computed(threads) - self.exact()).max() < TOLERANCE


def some(heads: int, kv_heads: int, tokens: int, cells: int, width: int = 64, value_width: int = 0) -> Attention:
    """Return random tokens that all see all cells."""
    rng = np.random.default_rng(heads + tokens + cells + width)
    return Attention(
        rng.normal(size=(heads, tokens, width)).astype(np.float32) * 2,
        rng.normal(size=(kv_heads, cells, width)).astype(np.float16),
        rng.uniform(-1, 1, (kv_heads, cells, value_width or width)).astype(np.float16),
        np.zeros((tokens, cells), np.float16),
    )


def causal(attention: Attention) -> Attention:
    """Return it with the last tokens of one sequence, each of which sees itself and what is before it."""
    tokens, cells = attention.mask.shape
    seen = np.arange(cells)[None, :] <= np.arange(tokens)[:, None] + cells - tokens
    return replace(attention, mask=np.where(seen, 0, -np.inf).astype(np.float16))


def streams(attention: Attention) -> Attention:
    """Return it with tokens of as many sequences, which have every n-th cell each."""
    tokens, cells = attention.mask.shape
    seen = np.arange(cells)[None, :] % tokens == np.arange(tokens)[:, None]
    return replace(attention, mask=np.where(seen, 0, -np.inf).astype(np.float16))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("heads", "kv_heads"), [(14, 2), (4, 4), (1, 1), (71, 1)])
@pytest.mark.parametrize(("tokens", "cells"), [(1, 1), (1, 700), (2, 33), (16, 300), (63, 128), (64, 70), (130, 257)])
def test_attention_is_right(heads: int, kv_heads: int, tokens: int, cells: int, threads: int) -> None:
    whole = some(heads, kv_heads, tokens, cells)
    for attention in (whole, causal(whole), streams(whole)):
        attention.assert_right(threads)


@pytest.mark.parametrize(("width", "value_width"), [(16, 16), (80, 80), (96, 96), (128, 128), (192, 128), (576, 512)])
@pytest.mark.parametrize("tokens", [1, 5, 70])
def test_all_widths_are_right(width: int, value_width: int, tokens: int) -> None:
    causal(some(8, 2, tokens, 150, width, value_width)).assert_right()


@pytest.mark.parametrize("heads", [8, 12])
@pytest.mark.parametrize("tokens", [1, 7, 80])
def test_a_bias_for_each_head(tokens: int, heads: int) -> None:
    attention = some(heads, 2, tokens, 90)
    distances = -np.abs(np.arange(90)[None, :] - np.arange(tokens)[:, None])
    seen = np.where(np.arange(90)[None, :] <= np.arange(tokens)[:, None] + 20, distances, -np.inf)
    replace(attention, max_bias=8.0, mask=seen.astype(np.float16)).assert_right()


@pytest.mark.parametrize("tokens", [1, 7, 80])
def test_a_cap_on_the_scores(tokens: int) -> None:
    causal(replace(some(8, 2, tokens, 90), softcap=5.0)).assert_right()


@pytest.mark.parametrize(("tokens", "cells"), [(1, 90), (1, 800), (7, 90), (80, 90)])
def test_sinks_take_weight(tokens: int, cells: int) -> None:
    sinks = np.linspace(-3, 12, 8).astype(np.float32)
    for threads in (1, 2, 3):
        causal(replace(some(8, 2, tokens, cells), sinks=sinks)).assert_right(threads)


@pytest.mark.parametrize("tokens", [3, 80])
def test_a_token_that_sees_nothing_is_no_number_for_nobody(tokens: int) -> None:
    attention = some(8, 2, tokens, 90)
    mask = attention.mask.copy()
    mask[1] = -np.inf
    made = replace(attention, mask=mask).computed()
    assert not made[1].any()
    replace(attention, mask=mask).assert_right()


@needs_blocks
def test_a_token_is_computed_alone_as_among_others() -> None:
    together = streams(some(14, 2, 16, 640))
    made = together.computed()
    for token in range(16):
        alone = replace(together, queries=together.queries[:, token : token + 1], mask=together.mask[token : token + 1])
        assert np.array_equal(alone.computed()[0], made[token])


@needs_blocks
def test_a_prompt_is_the_same_in_pieces() -> None:
    whole = causal(some(14, 2, 90, 400))
    made = whole.computed()
    for first, last in ((0, 1), (1, 8), (8, 40), (40, 90)):
        piece = replace(whole, queries=whole.queries[:, first:last], mask=whole.mask[first:last])
        assert np.array_equal(piece.computed(), made[first:last])


def test_what_a_token_does_not_see_is_no_harm() -> None:
    whole = streams(some(14, 2, 16, 640))
    keys, values = whole.keys.copy(), whole.values.copy()
    keys[:, 3::16], values[:, 3::16] = np.nan, np.inf
    made = replace(whole, keys=keys, values=values).computed()
    assert np.array_equal(np.delete(made, 3, axis=0), np.delete(whole.computed(), 3, axis=0))
    assert not np.isfinite(made[3]).any()


def test_streams_that_part_after_a_common_prefix_are_no_harm_to_each_other() -> None:
    attention = some(8, 2, 4, 104)
    seen = (np.arange(104)[None, :] < 100) | (np.arange(104)[None, :] == 100 + np.arange(4)[:, None])
    whole = replace(attention, mask=np.where(seen, 0, -np.inf).astype(np.float16))
    whole.assert_right()
    values = whole.values.copy()
    values[:, 102] = np.inf
    made = replace(whole, values=values).computed()
    assert np.array_equal(np.delete(made, 2, axis=0), np.delete(whole.computed(), 2, axis=0))


@pytest.mark.parametrize("tokens", [1, 3, 80])
def test_no_numbers_come_through(tokens: int) -> None:
    attention = causal(some(8, 2, tokens, 90))
    queries = attention.queries.copy()
    queries[:, tokens - 1] = np.nan
    made = replace(attention, queries=queries).computed()
    assert np.isnan(made[tokens - 1]).all()
    assert np.isfinite(made[: tokens - 1]).all()


@pytest.mark.parametrize("tokens", [2, 9, 80])
def test_a_sliding_window_and_cells_in_any_order(tokens: int) -> None:
    attention = some(8, 2, tokens, 300)
    at = np.arange(300)[None, :] - np.arange(tokens)[:, None]
    window = replace(attention, mask=np.where((at >= 100) & (at < 180), 0, -np.inf).astype(np.float16))
    window.assert_right()
    order = np.random.default_rng(5).permutation(300)
    replace(window, mask=window.mask[:, order]).assert_right()
    replace(attention, mask=causal(attention).mask[:, order]).assert_right()
