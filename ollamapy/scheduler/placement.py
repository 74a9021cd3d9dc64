"""Where a model goes: how many layers on which device, with how much context. Pure.

In this order, the first that fits is taken:

 1. All layers on accelerators: on the one with most free memory, else spread over all; with a pool of cells for many
    requests, else a smaller one. A context that nobody asked for is lowered, step by step, before a layer moves.
 2. Some layers on the accelerators, the others on the host, with cells for one request.
 3. All on the host, with a pool for many requests, else a smaller one.

Where memory ran out in one way, the first is taken that needs clearly less.

What was asked for is honoured: a number of layers, a device, a way to split. A context that was asked for is never
lowered; what does not fit is refused with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from ollamapy import wire
from ollamapy.scheduler.devices import GPU_MARGIN_BYTES, HOST_MARGIN_SHARE, Machine, default_context
from ollamapy.scheduler.estimate import (
    BYTES_PER_VALUE,
    companion_bytes,
    compute_bytes,
    estimate,
    layer_bytes,
    output_buffer_bytes,
)
from ollamapy.scheduler.memory import MOST_PARALLEL, pool_cells, pool_sequences
from ollamapy.scheduler.shape import ModelShape
from ollamapy.scheduler.sizes import size_text

STEPS = (262_144, 131_072, 65_536, 32_768, 16_384, 8_192, 4_096, 2_048)
CLEARLY_LESS = 7 / 8  # of what was too much on an accelerator; on the host, half the cells
SplitMode = Literal["none", "layer", "row", "tensor"]
Fit = Literal["full", "partial", "host"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `num_ctx` 0 leaves the context to us; `parallel` 0 the size of the pool."""

    num_ctx: int = 0
    parallel: int = 0
    gpu_layers: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    split_mode: SplitMode = "layer"
    overhead_bytes: int = 0
    is_spread: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model goes. `mapped_bytes` of `host_bytes` are pages of its file, which count as free memory.

    `tensor_split` are the shares of the devices, `num_ctx` the tokens of one request, `n_ctx` those of all together.
    A placement that `is_second` was chosen after memory had run out in another.
    """

    fit: Fit
    num_ctx: int
    n_ctx: int
    gpu_layers: int
    layer_count: int
    tensor_split: tuple[float, ...]
    main_gpu: int | None
    split_mode: SplitMode
    device_bytes: tuple[int, ...]
    host_bytes: int
    mapped_bytes: int
    devices: tuple[str, ...]
    reason: str
    is_second: bool = False

    def applied(self, load: wire.LoadModel) -> wire.LoadModel:
        """Return the message that loads the model in this way."""
        return msgspec.structs.replace(
            sized(load, self.n_ctx),
            n_gpu_layers=self.gpu_layers,
            main_gpu=self.main_gpu,
            tensor_split=list(self.tensor_split),
            split_mode=self.split_mode,
            devices=list(self.devices),
        )


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a model can't be placed, with `n_ctx` cells for requests of `num_ctx` tokens; tells numbers and remedy."""

    reason: str
    num_ctx: int
    n_ctx: int


def place(
    shape: ModelShape, load: wire.LoadModel, wish: Wish, machine: Machine, tried: Placement | None = None
) -> Placement | Misfit:
    """Return where the model goes, or why it does not fit; memory ran out where it was `tried`."""
    if load.embeds:
        search = _Search(shape, load, wish, machine, wish.num_ctx, tried)
        found = search.fixed(load.n_ctx)
        return _told(found, found.num_ctx, tried) if found is not None else search.misfit(load.n_ctx)
    asked = wish.num_ctx or default_context(machine, wish.overhead_bytes)
    most = min(asked, shape.context_length) if shape.context_length else asked
    contexts = [most] if wish.num_ctx else [most, *(step for step in STEPS if step < most)]
    searches = [_Search(shape, load, wish, machine, num_ctx, tried) for num_ctx in contexts]
    for search in searches:
        if (found := search.full()) is not None:
            return _told(found, most, tried)
    for search in searches:
        if (found := search.partial() or search.host()) is not None:
            return _told(found, most, tried)
    return searches[-1].misfit(searches[-1].least_cells)


def _told(found: Placement, most: int, tried: Placement | None) -> Placement:
    reason = found.reason
    if found.num_ctx != most:
        reason += f"; context lowered from {most} to {found.num_ctx} tokens to fit"
    if tried is not None:
        reason += (
            f"; now with {found.n_ctx} cells, as {tried.n_ctx} and {tried.reason} failed for want of memory, it seems"
        )
    return replace(found, reason=reason, is_second=tried is not None)


class _Search:
    """The ways to place a model with one context length."""

    def __init__(
        self,
        shape: ModelShape,
        load: wire.LoadModel,
        wish: Wish,
        machine: Machine,
        num_ctx: int,
        tried: Placement | None,
    ) -> None:
        self._shape, self._load, self._wish, self._machine = shape, load, wish, machine
        self._num_ctx, self._tried = num_ctx, tried
        self._layer_count = len(shape.layers)
        self._rooms = [device.free_bytes - wish.overhead_bytes - GPU_MARGIN_BYTES for device in machine.devices]
        if tried is not None:
            pairs = zip(self._rooms, tried.device_bytes, strict=False)
            self._rooms = [min(room, int(size * CLEARLY_LESS)) if size else room for room, size in pairs]
        self.least_cells = num_ctx * max(wish.parallel, 1)
        self._fixed, self._per_cell = _sums_from_behind(shape, load)

    # ---- the three ways

    def fixed(self, n_ctx: int) -> Placement | None:
        """Place a model whose cells are given, in the first way that fits."""
        ways = (self._place_layers(devices, n_ctx, self._layer_count + 1) for devices in self._device_sets())
        full = next((way for way in ways if way is not None), None)
        return full or self._partial(n_ctx) or self._on_host(n_ctx)

    def full(self) -> Placement | None:
        """Place all layers on accelerators."""
        if 0 <= self._wish.gpu_layers <= self._layer_count:
            return None
        for pools in self._pools(max(sum(self._rooms), 0)):
            for devices in self._device_sets():
                for n_ctx in pools:
                    if (found := self._place_layers(devices, n_ctx, self._layer_count + 1)) is not None:
                        return found
        return None

    def partial(self) -> Placement | None:
        """Place the last layers on accelerators, as many as fit, and the first on the host."""
        return self._partial(self.least_cells)

    def host(self) -> Placement | None:
        """Place all layers on the host."""
        for pools in self._pools(self._host_room()):
            for n_ctx in pools:
                if (found := self._on_host(n_ctx)) is not None:
                    return found
        return None

    def misfit(self, n_ctx: int) -> Misfit:
        """Say what is needed and what there is."""
        needed = estimate(self._shape, sized(self._load, n_ctx))
        devices = ", ".join(f"{d.name} {size_text(d.free_bytes)}" for d in self._machine.devices)
        parts = [
            f"weights {size_text(needed.weights)}",
            f"context of {self._num_ctx} tokens {size_text(needed.cache + needed.state)}",
            f"buffers {size_text(needed.compute + needed.output)}",
            *([f"projector, adapters and draft model {size_text(needed.companions)}"] if needed.companions else []),
        ]
        return Misfit(
            f"it needs {size_text(needed.total)} ({', '.join(parts)}), and there are "
            f"{size_text(self._machine.host_free_bytes)} free of {size_text(self._machine.host_total_bytes)}"
            + (f" on the host, and on accelerators: {devices}" if devices else "")
            + "; choose a smaller quantization or a lower num_ctx, or unload other models",
            self._num_ctx,
            n_ctx,
        )

    # ---- parts

    def _pools(self, free_bytes: int) -> Iterator[list[int]]:
        """Yield sizes of the pool: first those for many requests, then those for few."""
        if self._wish.parallel:
            yield [self.least_cells]
            return
        cells = sized(self._load, self._num_ctx)
        cache = sum(layer_bytes(layer, cells) - layer.weight_bytes for layer in self._shape.layers)
        generous = pool_cells(self._num_ctx, 0, max(free_bytes, 0), cache // max(self._num_ctx, 1))
        smaller = [n * self._num_ctx for n in range(MOST_PARALLEL, 0, -1) if n * self._num_ctx < generous]
        good = [generous, *(size for size in smaller if size >= generous // 4)]
        yield good
        yield smaller[len(good) - 1 :]

    def _device_sets(self) -> list[list[int]]:
        """Return which devices to try, the best first."""
        indexes, wish = list(range(len(self._machine.devices))), self._wish
        if not indexes or wish.gpu_layers == 0:
            return []
        if wish.main_gpu is not None and (wish.split_mode == "none" or not wish.tensor_split):
            return [[wish.main_gpu]] if wish.main_gpu in indexes else []
        devices = self._machine.devices
        best_first = sorted(indexes, key=lambda i: (devices[i].kind != "gpu", -devices[i].free_bytes, i))
        if wish.split_mode == "none":
            return [best_first[:1]]
        if wish.tensor_split or wish.is_spread or wish.split_mode != "layer":
            return [[i for i, share in enumerate(wish.tensor_split) if share > 0 and i in indexes] or indexes]
        return [*([index] for index in best_first), *([indexes] if len(indexes) > 1 else [])]

    def _partial(self, n_ctx: int) -> Placement | None:
        sets = self._device_sets()
        if not sets:
            return None
        if self._wish.gpu_layers > 0 and self._tried is not None:
            return None
        if self._wish.gpu_layers > 0:
            count = min(self._wish.gpu_layers, self._layer_count + 1)
            return self._place_layers(sets[-1], n_ctx, count, is_forced=True)
        ways = (self._place_layers(sets[-1], n_ctx, count) for count in range(self._layer_count, 0, -1))
        return next((way for way in ways if way is not None), None)

    def _place_layers(
        self, devices: Sequence[int], n_ctx: int, count: int, *, is_forced: bool = False
    ) -> Placement | None:
        """Place the last `count` of all layers and the output on these devices, the others on the host."""
        least = self._fixed[count] + self._per_cell[count] * n_ctx
        if not is_forced and least > sum(max(self._rooms[index], 0) for index in devices):
            return None
        load = sized(self._load, n_ctx)
        items = self._offloaded(load, count)
        counts = self._counts(devices, load, items, is_forced=is_forced)
        host_bytes, mapped_bytes = self._host_need(load, count)
        if counts is None or host_bytes > self._host_room():
            return None
        sizes, split, taken = [0] * len(self._rooms), [0.0] * len(self._rooms), 0
        for device, number in zip(devices, counts, strict=True):
            own = items[taken : taken + number]
            taken += number
            split[device] = float(number)
            has_output = taken == len(items) and count > self._layer_count
            sizes[device] = sum(own) + compute_bytes(self._shape, load, has_output=has_output) if own else 0
        if count > self._layer_count:
            sizes[devices[-1]] += companion_bytes(self._shape, load)
        is_single = len(devices) == 1
        return Placement(
            fit="full" if count > self._layer_count else "partial",
            num_ctx=self._num_ctx,
            n_ctx=n_ctx,
            gpu_layers=count,
            layer_count=self._layer_count,
            tensor_split=() if is_single else self._wish.tensor_split or tuple(split),
            main_gpu=devices[0] if is_single else self._wish.main_gpu,
            split_mode="none" if is_single else self._wish.split_mode,
            device_bytes=tuple(sizes),
            host_bytes=host_bytes,
            mapped_bytes=mapped_bytes,
            devices=self._names(),
            reason=self._layers_told(devices, sizes, count),
        )

    def _layers_told(self, devices: Sequence[int], sizes: Sequence[int], count: int) -> str:
        names = " and ".join(self._machine.devices[i].name for i in devices if sizes[i])
        if count > self._layer_count:
            return f"all layers on {names}"
        return f"{count - 1} of {self._layer_count} layers and the output on {names}, the others on the host"

    def _names(self) -> tuple[str, ...]:
        return tuple(device.name for device in self._machine.devices)

    def _on_host(self, n_ctx: int) -> Placement | None:
        if self._wish.gpu_layers > 0 and self._machine.devices:
            return None
        if self._tried is not None and self._tried.fit == "host" and 2 * n_ctx > self._tried.n_ctx:
            return None
        host_bytes, mapped_bytes = self._host_need(sized(self._load, n_ctx), 0)
        if host_bytes > self._host_room():
            return None
        devices = self._machine.devices
        why = "as asked" if devices and not self._wish.gpu_layers else "no accelerator has room" if devices else ""
        return Placement(
            fit="host",
            num_ctx=self._num_ctx,
            n_ctx=n_ctx,
            gpu_layers=0 if devices else self._wish.gpu_layers,
            layer_count=self._layer_count,
            tensor_split=(),
            main_gpu=None,
            split_mode=self._wish.split_mode,
            device_bytes=tuple(0 for _ in devices),
            host_bytes=host_bytes,
            mapped_bytes=mapped_bytes,
            devices=self._names(),
            reason="all layers on the host" + (f" ({why})" if why else ""),
        )

    def _offloaded(self, load: wire.LoadModel, count: int) -> list[int]:
        """Return the bytes of the last `count` of all layers and the output, in their order."""
        layers = [layer_bytes(layer, load) for layer in self._shape.layers]
        items = [*layers, self._shape.output_bytes + self._shape.tied_bytes]
        return items[len(items) - count :]

    def _host_need(self, load: wire.LoadModel, count: int) -> tuple[int, int]:
        """Return what the host has to hold, and how much of that are pages of the file."""
        kept = self._shape.layers[: max(self._layer_count + 1 - count, 0)]
        weights = self._shape.input_bytes + sum(layer.weight_bytes for layer in kept)
        weights += self._shape.output_bytes if not count else 0
        other = sum(layer_bytes(layer, load) - layer.weight_bytes for layer in kept)
        other += output_buffer_bytes(self._shape, load)
        other += compute_bytes(self._shape, load, has_output=not count) if kept else 0
        other += companion_bytes(self._shape, load) if count <= self._layer_count else 0
        return weights + other, weights if load.use_mmap else 0

    def _host_room(self) -> int:
        return self._machine.host_free_bytes - self._machine.host_total_bytes // HOST_MARGIN_SHARE

    def _counts(
        self, devices: Sequence[int], load: wire.LoadModel, items: Sequence[int], *, is_forced: bool
    ) -> list[int] | None:
        """Return how many layers go to each device: by the wished shares, else in proportion to their room."""
        rooms = [max(self._rooms[index], 0) for index in devices]
        given = self._wish.tensor_split
        if given or is_forced or self._wish.split_mode in ("row", "tensor"):
            shares = [given[index] if index < len(given) else 0.0 for index in devices] if given else rooms
            counts = _shared(len(items), shares)
            return counts if is_forced or self._fits(counts, rooms, load, items) else None
        needed = (sum(items) + len(devices) * compute_bytes(self._shape, load)) / max(sum(rooms), 1)
        for step in range(11):
            counts = self._filled(rooms, needed + (1 - needed) * step / 10, load, items)
            if sum(counts) == len(items):
                return counts
        return None

    def _filled(self, rooms: Sequence[int], fill: float, load: wire.LoadModel, items: Sequence[int]) -> list[int]:
        """Fill each device up to a part of its room; returns how many items it takes, fewer than all where it can't."""
        counts: list[int] = []
        taken = 0
        for place_number, room in enumerate(rooms):
            is_last = place_number == len(rooms) - 1
            left = room * min(fill, 1.0) - compute_bytes(self._shape, load, has_output=is_last)
            left -= companion_bytes(self._shape, load) if is_last else 0
            number = 0
            while taken + number < len(items) and items[taken + number] <= left:
                left -= items[taken + number]
                number += 1
            counts.append(number)
            taken += number
        return counts

    def _fits(self, counts: Sequence[int], rooms: Sequence[int], load: wire.LoadModel, items: Sequence[int]) -> bool:
        taken = 0
        for number, room in zip(counts, rooms, strict=True):
            if number and sum(items[taken : taken + number]) + compute_bytes(self._shape, load) > room:
                return False
            taken += number
        return True


def sized(load: wire.LoadModel, n_ctx: int) -> wire.LoadModel:
    """Return the message with a pool of so many cells."""
    n_seq_max = load.n_seq_max if load.embeds else pool_sequences(load.n_seq_max, n_ctx, load.n_parallel)
    return msgspec.structs.replace(load, n_ctx=n_ctx, n_seq_max=n_seq_max)


def _sums_from_behind(shape: ModelShape, load: wire.LoadModel) -> tuple[list[int], list[float]]:
    """Return what the last n of all layers and the output take, by n: bytes at any context, and bytes per cell."""
    fixed, per_cell = [0, shape.output_bytes + shape.tied_bytes], [0.0, 0.0]
    for layer in reversed(shape.layers):
        fixed.append(fixed[-1] + layer.weight_bytes)
        values = 0 if load.embeds else layer.key_values + layer.value_values
        per_cell.append(per_cell[-1] + values * BYTES_PER_VALUE[load.kv_cache_type])
    return fixed, per_cell


def _shared(count: int, shares: Sequence[float]) -> list[int]:
    """Cut `count` layers by shares, as llama.cpp does."""
    total = sum(shares) or 1.0
    ends: list[float] = []
    for share in shares:
        ends.append((ends[-1] if ends else 0.0) + share / total)
    counts = [0] * len(shares)
    for index in range(count):
        counts[next((i for i, end in enumerate(ends) if index / count < end), len(shares) - 1)] += 1
    return counts
