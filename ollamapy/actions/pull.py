"""Pulls a model: its manifest, the blobs that lack, and the manifest's own file last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ollamapy.actions.build import build_model
from ollamapy.actions.services import Services
from ollamapy.errors import BlobNotFoundError, ManifestError, ModelNotFoundError, RegistryError, TransferError
from ollamapy.names import Digest, ModelName
from ollamapy.registry import Wanted, choose_files
from ollamapy.store import WEIGHTS_TYPE, Manifest, Store, parse_manifest
from ollamapy.types import CreateRequest, Progress, TransferRequest

SHORT_DIGITS = 12
GGUF_TYPES = {
    "application/vnd.docker.ai.gguf.v3": "model.gguf",
    "application/vnd.docker.ai.mmproj": "mmproj.gguf",
    "application/vnd.cncf.model.weight.v1.gguf": "model.gguf",
}
"""How other programs call GGUF files in a registry, and a name for such a file."""
TRIES = 3  # a blob that was there may be deleted before the manifest names it

Opener = Callable[[Digest, int, int | None], AbstractAsyncContextManager[Any]]
logger = logging.getLogger("ollamapy.actions")


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be fetched and what is made of it: `manifest` is written as it is, or a model made of `files`."""

    blobs: tuple[tuple[Digest, int], ...]
    open_blob: Opener
    manifest: bytes = b""
    files: tuple[tuple[str, Digest], ...] = ()


async def pull(services: Services, request: TransferRequest) -> AsyncGenerator[Progress, None]:
    """Yield the steps of fetching a model; a failure leaves what has arrived for the next try.

    Raises InvalidInputError for a registry that is not configured, DiskFullError, RegistryError, StoreError.
    """
    name = ModelName.parse(request.model)
    plan_of = _find_plan(services, name, is_plain=request.model.strip().lower().startswith("http://"))
    yield Progress("pulling manifest")
    try:
        plan = await plan_of()
    except RegistryError as exc:
        raise with_prefix("pull model manifest: ", exc) from exc
    replaced = await asyncio.to_thread(_digests, services.store, name)
    for attempt in range(1, TRIES + 1):
        async with aclosing(_fetch_all(services, plan)) as steps:
            async for step in steps:
                yield step
        yield Progress("verifying sha256 digest")
        yield Progress("writing manifest")
        try:
            await asyncio.to_thread(_write, services.store, name, plan)
            break
        except BlobNotFoundError:
            if attempt == TRIES:
                raise
            logger.info("a blob of %s was deleted while it was pulled; fetching it again", name)
    removed = [] if services.settings.no_prune else await asyncio.to_thread(services.store.prune, replaced)
    if removed:
        yield Progress("removing unused layers")
    logger.info("pulled %s", name)
    yield Progress("success")


def _find_plan(services: Services, name: ModelName, *, is_plain: bool) -> Callable[[], Any]:
    """Return what asks the registry, after checking that it may be asked."""
    if services.remotes.is_hub(name):
        hub = services.remotes.hub(name)

        async def of_hub() -> Plan:
            model = choose_files(await hub.list_files(), name.tag)
            by_digest = {file.digest: file for file in model.files}
            return Plan(
                tuple((file.digest, file.size_bytes) for file in by_digest.values()),
                lambda digest, first, end: hub.open_file(by_digest[digest], first, end),
                files=tuple((PurePosixPath(file.path).name, file.digest) for file in model.files),
            )

        return of_hub
    repository = services.remotes.source(name, plain=is_plain)

    async def of_repository() -> Plan:
        data = await repository.read_manifest()
        try:
            return plan_manifest(data, repository.open_blob)
        except ManifestError as exc:
            raise TransferError(exc.message) from exc

    return of_repository


def plan_manifest(data: bytes, open_blob: Opener) -> Plan:
    """Return what a manifest asks for; raises ManifestError, TransferError for one that is no model."""
    manifest = parse_manifest(data)
    sizes = {layer.digest: layer.size for layer in (*manifest.layers, manifest.config)}
    if manifest.of_type(WEIGHTS_TYPE):
        return Plan(tuple((digest, sizes[digest]) for digest in manifest.digests), open_blob, manifest=data)
    files = _foreign_files(manifest)
    if not files:
        raise TransferError("the manifest names no GGUF file; it is no model that llama.cpp can run")
    blobs = tuple((digest, sizes[digest]) for digest in dict.fromkeys(digest for _, digest in files))
    return Plan(blobs, open_blob, files=files)


def _foreign_files(manifest: Manifest) -> tuple[tuple[str, Digest], ...]:
    found = [layer for layer in manifest.layers if layer.media_type in GGUF_TYPES]
    if not any(GGUF_TYPES[layer.media_type] == "model.gguf" for layer in found):
        return ()
    return tuple((f"{index}-{GGUF_TYPES[layer.media_type]}", layer.digest) for index, layer in enumerate(found))


async def _fetch_all(services: Services, plan: Plan) -> AsyncGenerator[Progress, None]:
    """Yield the progress of every blob, one after another; those that are there are told and not fetched."""
    missing = await asyncio.to_thread(_missing, services.store, plan)
    await asyncio.to_thread(services.store.check_space, missing)
    for digest, size in plan.blobs:
        label = f"pulling {digest.hex[:SHORT_DIGITS]}"
        if (digest, size) not in missing:
            yield Progress(label, str(digest), size, size)
            continue
        wanted = _wanted(services.store, plan, digest, size)
        async with services.remotes.transfers.join(wanted) as transfer, aclosing(transfer.watch()) as counts:
            async for count in counts:
                yield Progress(label, str(digest), size, count)


def _wanted(store: Store, plan: Plan, digest: Digest, size: int) -> Wanted:
    return Wanted(
        digest,
        size,
        is_there=lambda: store.has_blob(digest),
        open_target=lambda: store.partial_blob(digest, size),
        open_range=lambda first, end: plan.open_blob(digest, first, end),
    )


def _missing(store: Store, plan: Plan) -> list[tuple[Digest, int]]:
    """Return the blobs that are not in the store, and delete damaged ones that are.

    Raises TransferError for one that is whole but has another size than the manifest tells.
    """
    missing = []
    for digest, size in plan.blobs:
        has_size = store.has_blob(digest) and store.blob_size(digest) == size
        if not store.has_blob(digest) or (not has_size and store.delete_damaged(digest)):
            missing.append((digest, size))
        elif not has_size:
            raise TransferError(f"the manifest gives blob {digest} another size than it has")
    return missing


def _write(store: Store, name: ModelName, plan: Plan) -> None:
    if plan.manifest:
        _check_sizes(store, plan)
        store.put_manifest(name, plan.manifest)
        return
    request = CreateRequest(model=str(name), files={path: str(digest) for path, digest in plan.files})
    build_model(store, name, request)


def _check_sizes(store: Store, plan: Plan) -> None:
    for digest, size in plan.blobs:
        if store.blob_size(digest) != size:
            raise TransferError(f"the manifest gives blob {digest} another size than it has")


def _digests(store: Store, name: ModelName) -> tuple[Digest, ...]:
    try:
        return store.read_manifest(name).manifest.digests
    except (ModelNotFoundError, ManifestError):
        return ()


def with_prefix(prefix: str, exc: RegistryError) -> RegistryError:
    """Return the same error with words before its own."""
    return type(exc)(prefix + exc.message)
