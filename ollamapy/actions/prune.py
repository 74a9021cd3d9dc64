"""Frees the space of what no model needs."""

from __future__ import annotations

import asyncio
import logging
import time

from ollamapy.actions.services import Services
from ollamapy.dialects.native import PruneRecord, UnusedRecord
from ollamapy.store import Store

YOUNG_SECONDS = 3600  # what was used since may be about to become part of a model

logger = logging.getLogger("ollamapy.actions")


async def prune(services: Services, *, dry_run: bool) -> PruneRecord:
    """Remove blobs that no model names and unfinished downloads that nobody goes on with, and return them.

    With `dry_run` nothing is removed. Raises StoreError.
    """
    return await asyncio.to_thread(_prune, services.store, dry_run=dry_run)


def _prune(store: Store, *, dry_run: bool) -> PruneRecord:
    blobs = dict(store.unused_blobs(older_than=time.time() - YOUNG_SECONDS))
    partials = dict(store.list_partials(older_than=time.time() - YOUNG_SECONDS))
    if not dry_run:
        removed = store.prune(blobs)
        blobs = {digest: blobs[digest] for digest in removed}
        partials = {digest: size for digest, size in partials.items() if store.remove_partial(digest)}
        logger.info("removed %d unused blobs and %d unfinished ones", len(blobs), len(partials))
    unused = [("blob", *item) for item in blobs.items()] + [("partial", *item) for item in partials.items()]
    return PruneRecord(unused=[UnusedRecord(kind=kind, digest=str(d), size=size) for kind, d, size in unused])
