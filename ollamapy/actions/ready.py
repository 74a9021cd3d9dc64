"""Tells whether the daemon could serve a model now."""

from __future__ import annotations

import asyncio

from ollamapy.actions.load import prepare_load
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.errors import ModelTooLargeError
from ollamapy.scheduler.placement import Misfit, place
from ollamapy.types import Options


async def check_ready(services: Services, asked: str) -> None:
    """Return if requests can be served: a worker starts, the store is readable, and the model named, if one is, fits.

    Raises the error that a request would get, LoadError where no worker starts, ServiceError while shutting down.
    """
    services.scheduler.check_alive()
    await asyncio.to_thread(services.store.list_manifests)
    await services.probe_worker()
    if not asked:
        return
    found = await services.models.resolve(services.store, asked)
    spec = await prepare_load(services, found, merge_options(Options(), found.model.options, Options()))
    if any(loaded.spec.key == spec.key and loaded.state == "ready" for loaded in services.scheduler.loaded()):
        return
    if spec.shape is not None:
        placed = place(spec.shape, spec.load, spec.wish, await services.scheduler.machine(empty=True))
        if isinstance(placed, Misfit):
            raise ModelTooLargeError(f"{spec.name} does not fit: {placed.reason}")
