"""Lists the models of the store."""

from __future__ import annotations

import asyncio
import logging

from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.services import Services
from ollamapy.dialects.native import DetailsRecord, ModelRecord, local_time
from ollamapy.errors import OllamapyError
from ollamapy.names import Digest, ModelName
from ollamapy.store import StoredManifest

logger = logging.getLogger("ollamapy.actions")


async def list_models(services: Services) -> list[ModelRecord]:
    """Return all models, the newest first; of a damaged one, which can only be removed, little is told."""
    records = []
    for stored in await asyncio.to_thread(services.store.list_manifests):
        try:
            found = await services.models.read(services.store, stored)
        except OllamapyError as exc:
            logger.warning("listing a damaged model: %s", exc.message)
            records.append(damaged_record(stored.name, stored.digest, stored.modified_at, stored.manifest.size))
            continue
        records.append(model_record(found, stored))
    damaged = await asyncio.to_thread(services.store.list_damaged)
    return [*records, *(damaged_record(each.name, each.digest, each.modified_at, 0) for each in damaged)]


async def find_model(services: Services, asked: str) -> ModelRecord:
    """Return one model; raises InvalidNameError, ModelNotFoundError."""
    found, stored = await services.models.find(services.store, asked)
    return model_record(found, stored)


def model_record(found: ResolvedModel, stored: StoredManifest) -> ModelRecord:
    """Return a model as the list shows it."""
    name = str(stored.name)
    return ModelRecord(
        name=name,
        model=name,
        modified_at=local_time(stored.modified_at),
        size=stored.manifest.size,
        digest=stored.digest.hex,
        details=details_record(found, with_lengths=True),
        capabilities=list(found.capabilities),
    )


def damaged_record(model: ModelName, digest: Digest, modified_at: float, size: int) -> ModelRecord:
    """Return a model that can't be read as the list shows it, so that its name is known and it can be removed."""
    nothing = DetailsRecord(
        parent_model="", format="", family="", families=None, parameter_size="", quantization_level=""
    )
    return ModelRecord(
        name=str(model),
        model=str(model),
        modified_at=local_time(modified_at),
        size=size,
        digest=digest.hex,
        details=nothing,
    )


def details_record(found: ResolvedModel, *, with_lengths: bool = False) -> DetailsRecord:
    """Return what a model is made of; listings tell its lengths too, in tokens and numbers."""
    config, header = found.model.config, found.header
    return DetailsRecord(
        parent_model="",
        format=config.model_format,
        family=config.model_family,
        families=None if config.model_families is None else list(config.model_families),
        parameter_size=config.model_type,
        quantization_level=config.file_type,
        context_length=(header.context_length or 0) if with_lengths else 0,
        embedding_length=(header.embedding_length or 0) if with_lengths else 0,
    )
