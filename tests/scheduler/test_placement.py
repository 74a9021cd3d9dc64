"""Placement on machines that do not exist: two GPUs of 8, 24 or 80 GiB, and models from 8B to 70B."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_fields

from ollamapy import wire
from ollamapy.config import Settings
from ollamapy.scheduler.devices import Device, Machine, default_context, usable_devices
from ollamapy.scheduler.estimate import estimate
from ollamapy.scheduler.placement import Misfit, Placement, Wish, place
from ollamapy.scheduler.shape import ModelShape
from tests.scheduler.conftest import MakeShape

GIB = 1 << 30


def gpus(*sizes_gib: float, host_gib: float = 64, free: float = 0.97) -> Machine:
    devices = tuple(
        Device(f"CUDA{i}", "CUDA", "gpu", "a GPU of paper", int(size * GIB), int(size * free * GIB))
        for i, size in enumerate(sizes_gib)
    )
    return Machine(devices, int(host_gib * GIB), int(host_gib * 0.9 * GIB))


def load(**fields: object) -> wire.LoadModel:
    return wire.LoadModel(path="/m", adapters=[], n_ctx=0, **fields)  # type: ignore[arg-type]


def brief(found: Placement | Misfit) -> str:
    """`full 0 32768`: the fit, the devices with layers, the context."""
    if isinstance(found, Misfit):
        return "no"
    used = "".join(str(i) for i, size in enumerate(found.device_bytes) if size)
    return f"{found.fit} {used or '-'} {found.num_ctx}"


@pytest.mark.parametrize(
    ("name", "kind", "gib", "placed"),
    [
        ("8b", "Q4_K", 8, "full 0 4096"), ("8b", "Q4_K", 24, "full 0 131072"), ("8b", "Q4_K", 80, "full 0 131072"),
        ("8b", "F16", 8, "partial 01 4096"), ("8b", "F16", 24, "full 01 131072"), ("8b", "F16", 80, "full 0 131072"),
        ("14b", "Q4_K", 8, "full 01 4096"), ("14b", "Q4_K", 24, "full 0 40960"), ("14b", "Q4_K", 80, "full 0 40960"),
        ("14b", "F16", 8, "partial 01 4096"), ("14b", "F16", 24, "full 01 40960"), ("14b", "F16", 80, "full 0 40960"),
        ("32b", "Q4_K", 8, "partial 01 4096"), ("32b", "Q4_K", 24, "full 01 40960"),
        ("32b", "Q4_K", 80, "full 0 40960"),
        ("32b", "F16", 8, "partial 01 4096"), ("32b", "F16", 24, "partial 01 40960"),
        ("32b", "F16", 80, "full 0 40960"),
        ("70b", "Q4_K", 8, "partial 01 4096"), ("70b", "Q4_K", 24, "full 01 16384"),
        ("70b", "Q4_K", 80, "full 0 131072"),
        ("70b", "F16", 8, "no"), ("70b", "F16", 24, "no"), ("70b", "F16", 80, "full 01 65536"),
    ],
)  # fmt: skip
def test_models_are_placed_on_two_gpus(family_shape: MakeShape, name: str, kind: str, gib: int, placed: str) -> None:
    shape, machine = family_shape(name, kind), gpus(gib, gib)
    found = place(shape, load(), Wish(), machine)
    assert brief(found) == placed
    if isinstance(found, Placement):
        for size, device in zip(found.device_bytes, machine.devices, strict=True):
            assert size < device.free_bytes
        assert found.host_bytes < machine.host_free_bytes
        whole = estimate(shape, found.applied(load())).total
        assert sum(found.device_bytes) + found.host_bytes >= 0.9 * whole


def test_a_context_that_was_asked_for_is_never_lowered(family_shape: MakeShape) -> None:
    shape = family_shape("8b", "Q4_K")
    found = place(shape, load(), Wish(num_ctx=65_536), gpus(8))
    assert brief(found) == "partial 0 65536"
    refused = place(shape, load(), Wish(num_ctx=131_072), gpus(8, host_gib=8))
    assert isinstance(refused, Misfit)
    assert "context of 131072 tokens 16.0 GiB" in refused.reason
    assert "CUDA0 7.8 GiB" in refused.reason
    assert "lower num_ctx" in refused.reason


def test_a_lowered_context_is_told(family_shape: MakeShape) -> None:
    found = place(family_shape("70b", "Q4_K"), load(), Wish(), gpus(24, 24))
    assert isinstance(found, Placement)
    assert found.reason == "all layers on CUDA0 and CUDA1; context lowered from 131072 to 16384 tokens to fit"


def test_the_pool_holds_many_requests_where_there_is_room_else_few(
    family_shape: MakeShape,
) -> None:
    shape = family_shape("8b", "Q4_K")
    roomy, tight = (place(shape, load(), Wish(num_ctx=4096), gpus(size)) for size in (80, 6.5))
    assert isinstance(roomy, Placement)
    assert isinstance(tight, Placement)
    assert (roomy.fit, roomy.n_ctx) == ("full", 16 * 4096)
    assert tight.fit == "full"
    assert 4096 <= tight.n_ctx <= 3 * 4096
    fixed = place(shape, load(), Wish(num_ctx=4096, parallel=4), gpus(80))
    assert isinstance(fixed, Placement)
    assert fixed.n_ctx == 4 * 4096


@pytest.mark.parametrize(
    ("wish", "placed"),
    [
        (Wish(num_ctx=4096), "full 1 4096"),
        (Wish(num_ctx=4096, is_spread=True), "full 01 4096"),
        (Wish(num_ctx=4096, main_gpu=0), "full 0 4096"),
        (Wish(num_ctx=4096, main_gpu=0, gpu_layers=5), "partial 0 4096"),
        (Wish(num_ctx=4096, gpu_layers=0), "host - 4096"),
        (Wish(num_ctx=4096, gpu_layers=999), "full 1 4096"),
        (Wish(num_ctx=4096, split_mode="none"), "full 1 4096"),
        (Wish(num_ctx=4096, split_mode="row"), "full 01 4096"),
        (Wish(num_ctx=4096, tensor_split=(1.0, 3.0)), "full 01 4096"),
        (Wish(num_ctx=4096, tensor_split=(1.0, 0.0)), "full 0 4096"),
        (Wish(num_ctx=4096, overhead_bytes=20 * GIB), "full 1 4096"),
        (Wish(num_ctx=4096, overhead_bytes=60 * GIB), "host - 4096"),
        (Wish(num_ctx=4096, main_gpu=7), "host - 4096"),
    ],
)
def test_wishes_are_honoured(family_shape: MakeShape, wish: Wish, placed: str) -> None:
    assert brief(place(family_shape("8b", "Q4_K"), load(), wish, gpus(24, 48))) == placed


def test_shares_are_those_of_the_wish_or_follow_the_room(family_shape: MakeShape) -> None:
    shape = family_shape("8b", "Q4_K")
    asked = place(shape, load(), Wish(num_ctx=4096, tensor_split=(1.0, 3.0)), gpus(24, 24))
    assert isinstance(asked, Placement)
    assert asked.tensor_split == (1.0, 3.0)
    assert asked.device_bytes[1] > 2 * asked.device_bytes[0]
    spread = place(shape, load(), Wish(num_ctx=4096, is_spread=True), gpus(8, 24))
    assert isinstance(spread, Placement)
    assert sum(spread.tensor_split) == 33
    assert spread.tensor_split[1] > spread.tensor_split[0] > 0


def test_a_number_of_layers_is_exact(family_shape: MakeShape) -> None:
    found = place(family_shape("8b", "Q4_K"), load(), Wish(num_ctx=4096, gpu_layers=11), gpus(24))
    assert isinstance(found, Placement)
    assert (found.gpu_layers, found.applied(load()).n_gpu_layers) == (11, 11)
    assert found.reason == "10 of 32 layers and the output on CUDA0, the others on the host"


def test_a_small_pool_is_given_few_sequences(family_shape: MakeShape) -> None:
    found = place(family_shape("8b", "Q4_K"), load(), Wish(num_ctx=256, parallel=16), gpus(24))
    assert isinstance(found, Placement)
    assert (found.applied(load()).n_ctx, found.applied(load()).n_seq_max) == (4096, 64)


def test_without_accelerators_all_lies_on_the_host(family_shape: MakeShape) -> None:
    shape = family_shape("8b", "Q4_K")
    found = place(shape, load(), Wish(), gpus(host_gib=32))
    assert isinstance(found, Placement)
    assert brief(found) == "host - 4096"
    assert found.applied(load()).devices == []
    assert found.mapped_bytes == pytest.approx(shape.weight_bytes)
    assert isinstance(place(shape, load(), Wish(), gpus(host_gib=4)), Misfit)


def test_an_embedding_model_keeps_its_cells(family_shape: MakeShape) -> None:
    message = replace_fields(load(), n_ctx=2048, n_batch=2048, n_seq_max=64, embeds=True)
    found = place(family_shape("1b", "Q8_0"), message, Wish(num_ctx=2048), gpus(8))
    assert isinstance(found, Placement)
    assert (found.fit, found.n_ctx) == ("full", 2048)


@pytest.mark.parametrize(
    ("sizes", "overhead_gib", "tokens"),
    [((), 0, 4096), ((8,), 0, 4096), ((24,), 0, 32_768), ((24, 24), 0, 262_144), ((80,), 0, 262_144), ((24,), 2, 4096)],
)
def test_the_default_context_goes_by_gpu_memory_as_ollamas(
    sizes: tuple[int, ...], overhead_gib: int, tokens: int
) -> None:
    assert default_context(gpus(*sizes), overhead_gib * GIB) == tokens


@pytest.mark.parametrize(
    ("library", "kind", "settings", "is_used"),
    [
        ("CUDA", "gpu", {}, True),
        ("Vulkan", "gpu", {}, True),
        ("Vulkan", "gpu", {"vulkan": False}, False),
        ("CUDA", "gpu", {"llm_library": "vulkan"}, False),
        ("CUDA", "gpu", {"llm_library": "cuda_v13"}, True),
        ("Vulkan", "igpu", {}, False),
        ("Vulkan", "igpu", {"igpu_enable": True}, True),
        ("Metal", "igpu", {}, True),
        ("Metal", "igpu", {"igpu_enable": False}, False),
    ],
)
def test_settings_choose_the_devices(library: str, kind: str, settings: dict[str, object], is_used: bool) -> None:
    device = Device("X0", library, kind, "", GIB, GIB)  # type: ignore[arg-type]
    assert bool(usable_devices([device], replace(Settings(), **settings))) is is_used


def again(shape: ModelShape, wish: Wish, machine: Machine) -> tuple[Placement, Placement | Misfit]:
    """Return how a model is placed, and how after memory ran out in that."""
    first = place(shape, load(), wish, machine)
    assert isinstance(first, Placement)
    return first, place(shape, load(), wish, machine, first)


def test_after_memory_ran_out_on_a_gpu_less_lies_there(family_shape: MakeShape) -> None:
    first, second = again(family_shape("14b", "Q4_K"), Wish(num_ctx=8192, parallel=1), gpus(24))
    assert (brief(first), brief(second)) == ("full 0 8192", "partial 0 8192")
    assert isinstance(second, Placement)
    assert second.device_bytes[0] <= 7 / 8 * first.device_bytes[0]
    assert second.is_second
    assert not first.is_second
    told = "; now with 8192 cells, as 8192 and all layers on CUDA0 failed for want of memory, it seems"
    assert second.reason.endswith(told)


def test_another_gpu_may_take_what_was_too_much_for_one(family_shape: MakeShape) -> None:
    _, second = again(family_shape("14b", "Q4_K"), Wish(num_ctx=8192, parallel=1), gpus(24, 24))
    assert brief(second) == "full 1 8192"


def test_after_memory_ran_out_on_the_host_the_pool_and_then_the_default_context_are_halved(
    family_shape: MakeShape,
) -> None:
    shape = family_shape("8b", "Q4_K")
    first, second = again(shape, Wish(num_ctx=4096), gpus())
    assert (first.n_ctx, second.n_ctx) == (65_536, 32_768)  # type: ignore[union-attr]
    first, second = again(shape, Wish(parallel=1), gpus())
    assert (first.num_ctx, second.num_ctx) == (4096, 2048)  # type: ignore[union-attr]
    assert "context lowered from 4096 to 2048" in second.reason


@pytest.mark.parametrize(
    ("wish", "machine"),
    [
        pytest.param(Wish(num_ctx=4096, parallel=1), gpus(), id="context"),
        pytest.param(Wish(num_ctx=4096, parallel=1, gpu_layers=11), gpus(24), id="layers"),
        pytest.param(Wish(num_ctx=4096, parallel=1, gpu_layers=99), gpus(24), id="all-layers"),
    ],
)
def test_what_was_asked_for_is_not_lessened_when_memory_ran_out(
    family_shape: MakeShape, wish: Wish, machine: Machine
) -> None:
    assert isinstance(again(family_shape("8b", "Q4_K"), wish, machine)[1], Misfit)
