"""Tells what a model would take in memory, whether it is stored or still in a registry."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ollamapy import wire
from ollamapy.actions.load import load_message, wish_for
from ollamapy.actions.plan import Plan, find_plan
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.dialects.native import EstimateDeviceRecord, EstimateRecord
from ollamapy.errors import InvalidFileError, ModelNotFoundError, TransferError
from ollamapy.gguf import Header, join_headers, read_head
from ollamapy.names import Digest, ModelName
from ollamapy.scheduler.devices import Machine
from ollamapy.scheduler.estimate import Estimate, estimate
from ollamapy.scheduler.placement import Misfit, Placement, place, sized
from ollamapy.scheduler.shape import ModelShape, shape_of
from ollamapy.store import PROJECTOR_TYPE, WEIGHTS_TYPE, parse_manifest
from ollamapy.types import Options

FIRST_BYTES = 1 << 20
MOST_BYTES = 64 << 20  # a vocabulary of a million tokens fits several times
HOST = "host"


async def estimate_model(services: Services, asked: str, options: Options) -> EstimateRecord:
    """Return what the model takes and where it would go now; nothing is loaded or stored.

    Of a model that is not stored the registry is asked for the beginning of its files.

    Raises ModelNotFoundError, InvalidInputError for a registry that is not configured, RegistryError.
    """
    machine = await services.scheduler.machine()
    try:
        found = await services.models.resolve(services.store, asked)
    except ModelNotFoundError:
        name = ModelName.parse(asked)
        with tempfile.TemporaryDirectory(prefix="ollamapy-") as folder:
            header, shape = await _remote_shape(services, name, Path(folder))
        load = load_message(header, options, services.settings)
        return _record(str(name), shape, load, machine, _place(services, header, shape, load, options, machine), False)
    chosen = merge_options(options, found.model.options, Options())
    load = load_message(found.header, chosen, services.settings)
    placed = _place(services, found.header, found.shape, load, chosen, machine)
    return _record(str(found.model.name), found.shape, load, machine, placed, True)


def _place(
    services: Services, header: Header, shape: ModelShape, load: wire.LoadModel, options: Options, machine: Machine
) -> Placement | Misfit:
    return place(shape, load, wish_for(header, options, services.settings), machine)


def _record(
    name: str, shape: ModelShape, load: wire.LoadModel, machine: Machine, placed: Placement | Misfit, is_stored: bool
) -> EstimateRecord:
    is_placed = isinstance(placed, Placement)
    needed: Estimate = estimate(shape, sized(load, placed.n_ctx))
    return EstimateRecord(
        model=name,
        stored=is_stored,
        fits=is_placed,
        reason=placed.reason,
        context_length=placed.num_ctx,
        kv_cells=placed.n_ctx,
        gpu_layers=placed.gpu_layers if isinstance(placed, Placement) and placed.fit != "host" else 0,
        layers=len(shape.layers) + 1,
        size=needed.total,
        weights=needed.weights,
        cache=needed.cache + needed.state,
        buffers=needed.compute + needed.output,
        companions=needed.companions,
        devices=_devices(machine, placed),
    )


def _devices(machine: Machine, placed: Placement | Misfit) -> list[EstimateDeviceRecord]:
    sizes: Sequence[int] = placed.device_bytes if isinstance(placed, Placement) else [0] * len(machine.devices)
    records = [
        EstimateDeviceRecord(name=device.name, total=device.total_bytes, free=max(device.free_bytes, 0), needed=size)
        for device, size in zip(machine.devices, sizes, strict=True)
    ]
    needed = placed.host_bytes if isinstance(placed, Placement) else 0
    free = max(machine.host_free_bytes, 0)
    return [*records, EstimateDeviceRecord(name=HOST, total=machine.host_total_bytes, free=free, needed=needed)]


# ---- models that are not stored


async def _remote_shape(services: Services, name: ModelName, folder: Path) -> tuple[Header, ModelShape]:
    """Return header and shape of a model in a registry; arrays of the header can be read while the folder is there."""
    plan = await find_plan(services, name, is_plain=False)()
    weights, companions = _files(plan)
    headers = [await _fetch_header(plan, digest, folder / digest.hex) for digest in weights]
    sizes = dict(plan.blobs)
    header = join_headers([replace(header, file_size=0) for header in headers])
    return header, await asyncio.to_thread(shape_of, header, sum(sizes[digest] for digest in companions))


def _files(plan: Plan) -> tuple[list[Digest], list[Digest]]:
    """Return the weights of a model and what goes into memory beside them."""
    if plan.manifest:
        manifest = parse_manifest(plan.manifest)
        beside = [*manifest.of_type(PROJECTOR_TYPE)[:1]]
        return [layer.digest for layer in manifest.of_type(WEIGHTS_TYPE)], [layer.digest for layer in beside]
    projectors = [digest for path, digest in plan.files if "mmproj" in path.lower()]
    return [digest for _, digest in plan.files if digest not in projectors], projectors[:1]


async def _fetch_header(plan: Plan, digest: Digest, path: Path) -> Header:
    """Fetch the beginning of a file, more of it until its header is whole; raises TransferError."""
    size = dict(plan.blobs)[digest]
    have, wanted = 0, min(FIRST_BYTES, size)
    while True:
        async with plan.open_blob(digest, have, wanted) as reply:
            await asyncio.to_thread(_append, path, await reply.read(wanted - have))
        try:
            return await asyncio.to_thread(read_head, path)
        except InvalidFileError as exc:
            if wanted >= min(size, MOST_BYTES):
                raise TransferError(f"the model's file is none that can be run: {exc.message}") from exc
        have, wanted = wanted, min(4 * wanted, size, MOST_BYTES)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
