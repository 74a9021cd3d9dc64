import pytest

from ollamapy.scheduler.memory import free_memory_bytes, pool_cells, total_memory_bytes


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


def test_this_machine_has_some_free_memory():
    assert total_memory_bytes() >= free_memory_bytes() > 1 << 20
