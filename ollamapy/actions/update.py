"""Tells whether a registry has a newer version of a model, without fetching it."""

from __future__ import annotations

import asyncio

from ollamapy.actions.bundled import find_manifest, is_bundled
from ollamapy.actions.plan import Plan, find_plan
from ollamapy.actions.pull import with_prefix
from ollamapy.actions.services import Services
from ollamapy.dialects.native import UpdateRecord, UpdateState
from ollamapy.errors import ModelNotFoundError, RegistryError, RemoteNotFoundError
from ollamapy.names import Digest, ModelName
from ollamapy.store import StoredManifest


async def check_update(services: Services, model: str, *, only_pulled: bool = False) -> UpdateRecord:
    """Compare a model with what its registry has under its name.

    No registry is asked for a bundled model that was not pulled, and with `only_pulled` for none that was not. Raises
    ModelNotFoundError, InvalidInputError for a registry that is not configured, RegistryError.
    """
    name = ModelName.parse(model)
    try:
        stored = await asyncio.to_thread(find_manifest, services.store, name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(model.strip()) from exc
    if (only_pulled or is_bundled(name)) and not await asyncio.to_thread(services.store.is_pulled, stored):
        return UpdateRecord(model=str(stored.name), digest=stored.digest.hex, state="local")
    return UpdateRecord(model=str(stored.name), digest=stored.digest.hex, state=await _look(services, stored))


async def _look(services: Services, stored: StoredManifest) -> UpdateState:
    try:
        return compare(await find_plan(services, stored.name, is_plain=False)(), stored)
    except RemoteNotFoundError:
        return "absent"
    except RegistryError as exc:
        raise with_prefix("pull model manifest: ", exc) from exc


def compare(plan: Plan, stored: StoredManifest) -> UpdateState:
    """Return whether what would be pulled differs from what is here; parameters of a repository are not looked at."""
    if plan.manifest:
        return "current" if Digest.of(plan.manifest) == stored.digest else "newer"
    texts = (plan.texts.template, plan.texts.system)
    wanted = {digest for _, digest in plan.files} | {Digest.of(text.encode()) for text in texts if text}
    return "current" if wanted <= set(stored.manifest.digests) else "newer"
