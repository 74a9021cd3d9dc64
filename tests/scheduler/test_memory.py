import pytest

from ollamapy.scheduler.memory import free_memory_bytes, kv_bytes_per_token, pool_cells


def test_a_token_has_a_key_and_a_value_in_each_layer():
    assert kv_bytes_per_token(32, 8, 128) == 131_072
    assert kv_bytes_per_token(32, 8, 128, "f32") == 262_144
    assert kv_bytes_per_token(32, 8, 128, "q8_0") == 69_632


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
    assert free_memory_bytes() > 1 << 20
