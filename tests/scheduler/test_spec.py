from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ollamapy.scheduler.spec import find_mismatch, model_key
from tests.scheduler.specs import make_spec


@pytest.mark.parametrize(
    ("loaded", "wanted", "mismatch"),
    [
        pytest.param({}, {}, None, id="equal"),
        pytest.param({"num_ctx": 4096}, {"num_ctx": 2048}, None, id="smaller-context"),
        pytest.param({"num_ctx": 2048}, {"num_ctx": 4096}, "num_ctx 2048 -> 4096", id="larger-context"),
        pytest.param({"n_batch": 512}, {"n_batch": 1024}, None, id="other-batch"),
        pytest.param(
            {"n_batch": 512, "embeds": True}, {"n_batch": 64, "embeds": True}, "n_batch 512 -> 64", id="another-limit"
        ),
        pytest.param({"num_ctx": 2048, "n_ctx": 9000}, {"num_ctx": 8192}, None, id="a-context-within-the-pool"),
        pytest.param({"num_ctx": 4096}, {"num_ctx": 0}, None, id="any-context"),
        pytest.param(
            {"num_ctx": 2048}, {"num_ctx": 0}, "num_ctx 2048 -> as much as the memory allows", id="not-a-tiny-one"
        ),
        pytest.param({"n_threads": 2}, {}, None, id="automatic-threads"),
        pytest.param({"n_threads": 2}, {"n_threads": 1}, "n_threads 2 -> 1", id="other-threads"),
        pytest.param({"tensor_split": [1.0, 3.0]}, {}, None, id="any-split"),
        pytest.param({"use_mmap": False}, {}, None, id="automatic-mmap"),
        pytest.param({"n_gpu_layers": 4}, {"n_gpu_layers": -1}, None, id="automatic-gpu-layers"),
        pytest.param({"n_gpu_layers": -1}, {"n_gpu_layers": 0}, "n_gpu_layers -1 -> 0", id="explicit-gpu-layers"),
        pytest.param({"use_mmap": True}, {"use_mmap": False}, "use_mmap True -> False", id="mmap"),
        pytest.param({"key": "a"}, {"key": "b"}, "another model", id="other-model"),
    ],
)
def test_a_loaded_model_serves_what_it_covers(
    loaded: dict[str, Any], wanted: dict[str, Any], mismatch: str | None
) -> None:
    assert find_mismatch(make_spec(**loaded), make_spec(**wanted)) == mismatch


@pytest.mark.parametrize(
    "asked", [{"main_gpu": 0}, {"tensor_split": [3.0, 1.0]}, {"n_gpu_layers": 99}, {"split_mode": "row"}], ids=str
)
def test_a_loaded_model_serves_what_it_was_loaded_for_whatever_came_of_it(asked: dict[str, Any]) -> None:
    wanted = make_spec(**asked)
    loaded = replace(make_spec(n_gpu_layers=0, main_gpu=None, tensor_split=[], split_mode="none"), wished=wanted)
    assert find_mismatch(loaded, wanted) is None
    assert find_mismatch(loaded, make_spec(main_gpu=1)) is not None


def test_adapters_are_part_of_the_key() -> None:
    assert model_key("/w") == model_key("/w", [])
    assert model_key("/w") != model_key("/w", ["/a"]) != model_key("/w", ["/b"])
