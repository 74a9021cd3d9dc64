"""Deletes a model."""

from __future__ import annotations

import asyncio
import logging

from ollamapy.actions.copy import parse_as
from ollamapy.actions.prune import remove_unneeded
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError, ModelNotFoundError, StoreError
from ollamapy.names import ModelName

logger = logging.getLogger("ollamapy.actions")


async def delete(services: Services, asked: str) -> None:
    """Delete a model, the blobs that no other model needs, and what is kept of its prompts.

    Raises InvalidNameError, ModelNotFoundError.
    """
    if not asked.strip():
        raise InvalidInputError("model is required")
    name = parse_as("name", asked)
    try:
        await asyncio.to_thread(_delete, services, name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(asked) from exc


def _delete(services: Services, name: ModelName) -> None:
    """Delete the manifest even where it can't be read; what it named is then left to the next prune."""
    store = services.store
    try:
        digests = store.read_manifest(name).manifest.digests
    except StoreError as exc:
        logger.warning("deleting %s, whose manifest is damaged: %s", name, exc.message)
        digests = ()
    store.delete_manifest(name)
    remove_unneeded(services, digests)
