"""Pulls a model: its manifest, the blobs that lack, and the manifest's own file last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ollamapy.actions.build import build_model
from ollamapy.actions.plan import Plan, find_plan
from ollamapy.actions.prune import remove_unneeded
from ollamapy.actions.services import Services
from ollamapy.actions.translate import translate_new
from ollamapy.convert import check_layout, find_layout
from ollamapy.errors import (
    BlobNotFoundError,
    InvalidFileError,
    ManifestError,
    ModelNotFoundError,
    RegistryError,
    TransferError,
)
from ollamapy.gguf import check_file, read_header
from ollamapy.names import Digest, ModelName
from ollamapy.registry import Wanted
from ollamapy.store import WEIGHTS_TYPE, Manifest, Store, parse_manifest
from ollamapy.types import CreateRequest, Progress, TransferRequest

SHORT_DIGITS = 12
TRIES = 3  # a blob that was there may be deleted before the manifest names it

logger = logging.getLogger("ollamapy.actions")


async def pull(services: Services, request: TransferRequest) -> AsyncGenerator[Progress, None]:
    """Yield the steps of fetching a model; a failure leaves what has arrived for the next try.

    Raises InvalidInputError for a registry that is not configured, DiskFullError, RegistryError, StoreError.
    """
    name = ModelName.parse(request.model)
    plan_of = find_plan(services, name, is_plain=request.model.strip().lower().startswith("http://"))
    yield Progress("pulling manifest")
    try:
        plan = await plan_of()
    except RegistryError as exc:
        raise with_prefix("pull model manifest: ", exc) from exc
    for note in plan.notes:
        yield Progress(note)
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
    removed = [] if services.settings.no_prune else await asyncio.to_thread(remove_unneeded, services, replaced)
    if removed:
        yield Progress("removing unused layers")
    async with aclosing(translate_new(services, name)) as translating:
        async for translated in translating:
            yield translated
    logger.info("pulled %s", name)
    yield Progress("success")


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
        _check_layouts(store, parse_manifest(plan.manifest))
        store.note_pulled(store.put_manifest(name, plan.manifest))
        return
    files = {path: str(digest) for path, digest in plan.files}
    texts = plan.texts
    if texts.jinja_template and not texts.template and not _has_template(store, plan):
        texts = replace(texts, template=texts.jinja_template)
    request = CreateRequest(
        model=str(name), files=files, template=texts.template, system=texts.system, parameters=texts.parameters
    )
    build_model(store, name, request)
    store.note_pulled(store.read_manifest(name))


def _has_template(store: Store, plan: Plan) -> bool:
    """Tell whether one of the files says how prompts are written."""
    return any(check_file(store.open_blob(digest)).chat_template() for _, digest in plan.files)


def _check_sizes(store: Store, plan: Plan) -> None:
    for digest, size in plan.blobs:
        if store.blob_size(digest) != size:
            raise TransferError(f"the manifest gives blob {digest} another size than it has")


def _check_layouts(store: Store, manifest: Manifest) -> None:
    """Raise UnsupportedError for weights that nothing can be made of; damaged ones are told of when they are loaded."""
    for layer in manifest.of_type(WEIGHTS_TYPE):
        try:
            check_layout(find_layout(read_header(store.open_blob(layer.digest))))
        except InvalidFileError as exc:
            logger.warning("the weights %s can't be loaded: %s", layer.digest, exc.message)


def _digests(store: Store, name: ModelName) -> tuple[Digest, ...]:
    try:
        return store.read_manifest(name).manifest.digests
    except (ModelNotFoundError, ManifestError):
        return ()


def with_prefix(prefix: str, exc: RegistryError) -> RegistryError:
    """Return the same error with words before its own."""
    return type(exc)(prefix + exc.message)
