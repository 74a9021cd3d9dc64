import pytest

from ollamapy.scheduler.memory import free_memory_bytes, pool_cells, pool_sequences, total_memory_bytes


@pytest.mark.parametrize(
    ("num_ctx", "parallel", "free_bytes", "token_bytes", "cells"),
    [
        pytest.param(4096, 4, 0, 1000, 16_384, id="configured parallelism counts alone"),
        pytest.param(4096, 0, 1 << 40, 1000, 65_536, id="at most sixteen full requests"),
        pytest.param(4096, 0, 0, 1000, 4096, id="at least one full request"),
        pytest.param(4096, 0, 40_000_000, 1000, 10_000, id="a quarter of the free memory"),
        pytest.param(512, 0, 1 << 30, 0, 8192, id="a model without a cache"),
    ],
)
def test_the_pool_is_sized_by_memory(num_ctx, parallel, free_bytes, token_bytes, cells):
    assert pool_cells(num_ctx, parallel, free_bytes, token_bytes) == cells


@pytest.mark.parametrize(
    ("n_ctx", "parallel", "sequences"),
    [
        pytest.param(4096, 16, 64, id="a small pool has few rows of logits"),
        pytest.param(65_536, 0, 256, id="a large one as many as there may be"),
        pytest.param(8192, 0, 128, id="one for 64 cells"),
        pytest.param(1024, 100, 100, id="at least one for each request that may run"),
        pytest.param(1024, 1000, 256, id="but never more than there may be"),
    ],
)
def test_sequences_are_bounded_by_what_the_pool_can_hold(n_ctx, parallel, sequences):
    assert pool_sequences(256, n_ctx, parallel) == sequences


def test_this_machine_has_some_free_memory():
    assert total_memory_bytes() >= free_memory_bytes() > 1 << 20
