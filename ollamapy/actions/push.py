"""Pushes a model to a configured registry: the blobs that lack there, then the manifest."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

import msgspec

from ollamapy.actions.pull import SHORT_DIGITS, with_prefix
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError, ModelNotFoundError, RegistryError
from ollamapy.names import ModelName
from ollamapy.registry import Blob, Repository, Upload, write_manifest
from ollamapy.store import MANIFEST_TYPE, Layer
from ollamapy.types import Progress, TransferRequest

OCI_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

logger = logging.getLogger("ollamapy.actions")


class _Typed(msgspec.Struct):
    media_type: str = msgspec.field(name="mediaType", default="")


async def push(services: Services, request: TransferRequest) -> AsyncGenerator[Progress, None]:
    """Yield the steps of sending a model.

    Raises ForbiddenError for a registry that is not configured, ModelNotFoundError, RegistryError, StoreError.
    """
    if not request.model.strip():
        raise InvalidInputError("model is required")
    name = ModelName.parse(request.model)
    repository = services.remotes.target(name)
    try:
        stored, data = await asyncio.to_thread(services.store.read_manifest_file, name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(request.model.strip()) from exc
    yield Progress("retrieving manifest")
    layers = {layer.digest: layer for layer in (*stored.manifest.layers, stored.manifest.config)}
    for layer in layers.values():
        async with aclosing(_push_layer(services, repository, layer)) as steps:
            async for step in steps:
                yield step
    yield Progress("pushing manifest")
    if repository.wants_oci:
        data = as_oci(data)
    media_type = msgspec.json.decode(data, type=_Typed).media_type or MANIFEST_TYPE
    try:
        await write_manifest(repository, data, media_type, services.remotes.retries)
    except RegistryError as exc:
        raise with_prefix("push model manifest: ", exc) from exc
    logger.info("pushed %s", name)
    yield Progress("success")


def as_oci(data: bytes) -> bytes:
    """Return a manifest with OCI's types in the place of Docker's, which some programs refuse with such layers."""
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    config = msgspec.json.decode(fields["config"], type=dict[str, msgspec.Raw])
    return msgspec.json.encode(
        {**fields, "mediaType": OCI_MANIFEST_TYPE, "config": {**config, "mediaType": OCI_CONFIG_TYPE}}
    )


async def _push_layer(services: Services, repository: Repository, layer: Layer) -> AsyncGenerator[Progress, None]:
    digest, transfers = layer.digest, services.remotes.transfers
    label = f"pushing {digest.hex[:SHORT_DIGITS]}"
    with ExitStack() as stack:
        file = await transfers.disk.run(stack.enter_context, services.store.read_blob_file(digest))
        size = os.fstat(file).st_size
        journal = services.store.upload_journal(repository.base_url, digest)
        upload = Upload(
            repository,
            Blob(digest, size, lambda at, count: os.pread(file, count, at)),
            await transfers.disk.run(stack.enter_context, journal),
            transfers.disk,
        )
        counts = upload.run(services.remotes.retries, transfers.throttle, source=layer.origin)
        async with aclosing(counts):
            async for count in counts:
                yield Progress(label, str(digest), size, count)
