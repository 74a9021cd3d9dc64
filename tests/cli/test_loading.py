"""What is told of a model that is waited for."""

from __future__ import annotations

import pytest

from ollamapy.cli.loading import find_loaded, load_step
from ollamapy.dialects.native import DetailsRecord, LoadedListRecord, LoadedRecord, WaitingRecord

DETAILS = DetailsRecord(
    parent_model="", format="gguf", family="llama", families=None, parameter_size="", quantization_level=""
)


def loaded(name: str, *, state: str = "ready", progress: float = 0.0) -> LoadedRecord:
    return LoadedRecord(
        name=name, model=name, size=400, digest="", details=DETAILS, expires_at="", size_vram=0, context_length=1,
        state=state, progress=progress,
    )  # fmt: skip


FOUND = LoadedListRecord(
    models=[loaded("other:latest", state="loading", progress=0.5), loaded("Wren:latest"), loaded("big:7b")],
    waiting=[WaitingRecord(model="late:latest", seconds=1, reason="no room beside other:latest")],
)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("other", ("loading", 200, 400)),
        ("wren", ("loading", 0, 0)),
        ("late", ("loading (no room beside other:latest)", 0, 0)),
        ("unheard-of", ("loading", 0, 0)),
    ],
)
def test_it_is_told_how_far_a_load_is_or_what_it_waits_for(model: str, told: tuple[str, int, int]) -> None:
    assert load_step(FOUND, model, "loading") == told


def test_a_model_is_found_by_its_name_with_or_without_its_tag() -> None:
    assert find_loaded(FOUND.models, "WREN") is FOUND.models[1]
    assert find_loaded(FOUND.models, "big:7b") is FOUND.models[2]
    assert find_loaded(FOUND.models, "big") is None
