"""Lists the models of the store."""

from __future__ import annotations

import asyncio
import logging

from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.services import Services
from ollamapy.dialects.native import DetailsRecord, ModelRecord, local_time
from ollamapy.errors import OllamapyError
from ollamapy.store import StoredManifest

logger = logging.getLogger("ollamapy.actions")


async def list_models(services: Services) -> list[ModelRecord]:
    """Return all models, the newest first; one that can't be read is logged and left out."""
    records = []
    for stored in await asyncio.to_thread(services.store.list_manifests):
        try:
            found = await services.models.read(services.store, stored)
        except OllamapyError as exc:
            logger.warning("leaving %s out of the list: %s", stored.name, exc.message)
            continue
        records.append(model_record(found, stored))
    return records


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
