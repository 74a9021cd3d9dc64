"""Deletes a model."""

from __future__ import annotations

import asyncio

from ollamapy.actions.copy import parse_as
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError, ModelNotFoundError
from ollamapy.names import ModelName
from ollamapy.store import Store


async def delete(services: Services, asked: str) -> None:
    """Delete a model and the blobs that no other model needs; raises InvalidNameError, ModelNotFoundError."""
    if not asked.strip():
        raise InvalidInputError("model is required")
    name = parse_as("name", asked)
    try:
        await asyncio.to_thread(_delete, services.store, name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(asked) from exc


def _delete(store: Store, name: ModelName) -> None:
    stored = store.read_manifest(name)
    store.delete_manifest(stored.name)
    store.prune(stored.manifest.digests)
