"""What the installed llama.cpp computes in its own way."""

from __future__ import annotations

import pytest

from ollamapy.worker.kernels import attends_in_tiles
from tests.scripts.ggml import libraries


@pytest.mark.parametrize(("cache_type", "has_tiles"), [("f32", True), ("q8_0", False), ("q4_0", False)])
def test_only_cells_that_are_not_quantised_have_tiles(cache_type: str, has_tiles: bool) -> None:
    assert attends_in_tiles(cache_type) is has_tiles


def test_over_f16_cells_the_library_tells() -> None:
    assert attends_in_tiles("f16") is not bool(libraries()[1].ggml_cpu_attends_in_blocks())
