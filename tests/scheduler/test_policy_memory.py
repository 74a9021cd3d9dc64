"""Decisions where memory is what lacks: a GPU of 24 GiB, and models that take a known part of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ollamapy import wire
from ollamapy.errors import ModelTooLargeError
from ollamapy.scheduler.devices import Device, Machine
from ollamapy.scheduler.placement import Placement, Wish, place
from ollamapy.scheduler.policy import (
    Grant,
    Load,
    ModelView,
    Picture,
    Refuse,
    RequestView,
    Unload,
    decide,
    explain,
    remaining,
)
from ollamapy.scheduler.shape import LayerShape, ModelShape
from ollamapy.scheduler.spec import LoadSpec

GIB = 1 << 30
NOW = 100.0
EMPTY = Machine((Device("CUDA0", "CUDA", "gpu", "paper", 24 * GIB, 24 * GIB),), 16 * GIB, 15 * GIB)


def sized(size_gib: float) -> ModelShape:
    layers = tuple(LayerShape(int(size_gib * GIB / 8), 64, 64) for _ in range(8))
    return ModelShape(layers, 0, 0, 0, 0, 64, 128, 1000, 1, 64, 4096, is_recurrent=False)


def spec(key: str, size_gib: float) -> LoadSpec:
    load = wire.LoadModel(path=f"/blobs/{key}", adapters=[], n_ctx=4096)
    return LoadSpec(key, key, load, 4096, sized(size_gib), Wish(num_ctx=4096, parallel=1))


def loaded(model_id: int, key: str, size_gib: float, **fields: object) -> ModelView:
    wanted = spec(key, size_gib)
    placement = place(sized(size_gib), wanted.load, wanted.wish, EMPTY)
    assert isinstance(placement, Placement)
    return replace(ModelView(model_id, wanted.placed(placement), "ready"), **fields)  # type: ignore[arg-type]


def picture(
    models: list[ModelView], waiting: list[tuple[str, float]], *, is_measured: bool = True, since: float = NOW
) -> Picture:
    machine = EMPTY
    for model in models:
        if model.is_measured and model.spec.placement:
            machine = machine.without(model.spec.placement.device_bytes, 0)
    requests = tuple(RequestView(i, spec(key, size), since) for i, (key, size) in enumerate(waiting, 1))
    return Picture(NOW, tuple(models), requests, 9, 5.0, {}, machine=machine if is_measured else None)


def brief(seen: Picture) -> list[str]:
    told = []
    for decision in decide(seen):
        match decision:
            case Load(spec=wanted):
                told.append(f"load {wanted.key} {wanted.placement.fit if wanted.placement else ''}")
            case Unload(model_id=model_id, reason=reason):
                told.append(f"unload {model_id}: {reason}")
            case Grant(request_id=request_id):
                told.append(f"grant {request_id}")
            case Refuse(request_id=request_id):
                told.append(f"refuse {request_id}")
    return told


@pytest.mark.parametrize(
    ("seen", "decisions"),
    [
        pytest.param(picture([], [("a", 10)]), ["load a full"], id="load-into-free-memory"),
        pytest.param(picture([], [("a", 10)], is_measured=False), [], id="measure-first"),
        pytest.param(picture([loaded(1, "a", 10)], [("b", 10)]), ["load b full"], id="side-by-side"),
        pytest.param(
            picture([loaded(1, "a", 10)], [("b", 15)]), ["unload 1: evicted for b, which needs memory"], id="evict"
        ),
        pytest.param(
            picture([loaded(1, "a", 4, idle_since=5), loaded(2, "b", 16, idle_since=9)], [("c", 15)]),
            ["unload 2: evicted for c, which needs memory"],
            id="spare-those-whose-going-would-not-help",
        ),
        pytest.param(
            picture([loaded(1, "a", 6, idle_since=5), loaded(2, "b", 6), loaded(3, "c", 6, idle_since=1)], [("d", 15)]),
            [
                "unload 2: evicted for d, which needs memory",
                "unload 3: evicted for d, which needs memory",
            ],
            id="several-go",
        ),
        pytest.param(picture([loaded(1, "a", 10, busy=1)], [("b", 15)]), [], id="never-evict-a-busy-model"),
        pytest.param(picture([loaded(1, "a", 10, is_pinned=True)], [("b", 15)]), ["load b partial"], id="nor-a-pinned"),
        pytest.param(
            picture([loaded(1, "a", 10, state="stopping")], [("b", 15)]), [], id="wait-for-memory-that-comes-free"
        ),
        pytest.param(
            picture([loaded(1, "a", 14, state="loading", is_measured=False)], [("a", 14), ("b", 15)]),
            [],
            id="memory-of-a-load-is-taken",
        ),
        pytest.param(picture([], [("a", 14), ("b", 15)]), ["load a full"], id="one-decision-knows-of-the-other"),
        pytest.param(
            picture([loaded(1, "a", 14, busy=1)], [("b", 15), ("c", 5)]), [], id="who-came-first-gets-memory-first"
        ),
        pytest.param(picture([], [("a", 30)]), ["load a partial"], id="too-large-for-the-gpu"),
        pytest.param(picture([], [("a", 99)]), ["refuse 1"], id="too-large-for-the-machine"),
    ],
)
def test_decisions(seen: Picture, decisions: list[str]) -> None:
    assert brief(seen) == decisions


def test_a_refusal_tells_the_numbers() -> None:
    (refusal,) = decide(picture([], [("a", 99)]))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, ModelTooLargeError)
    assert refusal.error.message.startswith("a does not fit: it needs 99.0 GiB (weights 99.0 GiB, ")
    assert "CUDA0 24.0 GiB" in refusal.error.message


def test_an_overdue_request_holds_the_model_whose_memory_it_needs() -> None:
    seen = picture([loaded(1, "a", 14, busy=1)], [("b", 15), ("a", 14)], since=NOW - 6)
    assert brief(seen) == []
    assert explain(seen) == {
        1: "memory is in use by a",
        2: "others have waited longer, and the model makes room for them",
    }


def test_each_wait_has_a_reason() -> None:
    told = explain(picture([loaded(1, "a", 14, state="loading", is_measured=False)], [("a", 14), ("b", 15), ("c", 1)]))
    assert told == {
        1: "the model is loading",
        2: "memory is in use by a",
        3: "models that were asked for earlier are loaded first",
    }
    assert explain(picture([], [("a", 1)], is_measured=False)) == {1: "free memory is being measured"}
    assert explain(picture([loaded(1, "a", 14)], [("b", 15)])) == {1: "a makes room"}


def test_pages_of_mapped_files_are_not_free() -> None:
    host = Machine((), 16 * GIB, 15 * GIB)
    wanted = spec("a", 6)
    placement = place(sized(6), wanted.load, wanted.wish, host)
    assert isinstance(placement, Placement)
    view = ModelView(1, wanted.placed(placement), "ready", expires_at=math.inf)
    left = remaining(host, [view])
    assert left is not None
    assert left.host_free_bytes == 9 * GIB
    loading = remaining(host, [replace(view, is_measured=False)])
    assert loading is not None
    assert loading.host_free_bytes == 15 * GIB - placement.host_bytes
