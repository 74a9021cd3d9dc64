"""Gives a model a second name."""

from __future__ import annotations

import asyncio

from ollamapy.actions.bundled import find_manifest
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidNameError, ModelNotFoundError
from ollamapy.names import ModelName
from ollamapy.store import Store


async def copy(services: Services, source: str, destination: str) -> None:
    """Copy the manifest; raises InvalidNameError that says which name is wrong, ModelNotFoundError."""
    await asyncio.to_thread(_copy, services.store, source, destination)


def _copy(store: Store, source: str, destination: str) -> None:
    from_name, to_name = parse_as("source", source), parse_as("destination", destination)
    try:
        store.copy_manifest(find_manifest(store, from_name).name, to_name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(source, f'model "{source}" not found') from exc


def parse_as(role: str, text: str) -> ModelName:
    """Read a model name; raises InvalidNameError that names its role in the request."""
    try:
        return ModelName.parse(text)
    except InvalidNameError as exc:
        raise InvalidNameError(f'{role} "{text[:80]}" is invalid: {exc.message}') from exc
