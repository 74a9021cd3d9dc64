"""Frees the space of what no model needs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from ollamapy.actions.services import Services
from ollamapy.dialects.native import PruneRecord, UnusedRecord
from ollamapy.names import Digest
from ollamapy.store import blob_name
from ollamapy.wire import state_mark

YOUNG_SECONDS = 3600  # what was used since may be about to become part of a model

logger = logging.getLogger("ollamapy.actions")


async def prune(services: Services, *, dry_run: bool) -> PruneRecord:
    """Remove blobs that no model names and unfinished downloads that nobody goes on with, and return them.

    With `dry_run` nothing is removed. Raises StoreError.
    """
    return await asyncio.to_thread(_prune, services, dry_run=dry_run)


def remove_unneeded(services: Services, digests: Iterable[Digest]) -> list[Digest]:
    """Delete those of these blobs that no model needs, and the prompts that are kept for them; blocks.

    Returns the blobs. Raises StoreError.
    """
    removed = services.store.prune(digests)
    if services.settings.state_dir is not None:
        _forget_prompts(services.settings.state_dir, removed)
    return removed


def _forget_prompts(folder: Path, removed: Iterable[Digest]) -> None:
    for digest in removed:
        for path in folder.glob(f"*{state_mark(blob_name(digest))}*"):
            try:
                path.unlink(missing_ok=True)
            except OSError as exc:
                logger.warning("known prompts of a deleted model stay in %s: %s", path, exc.strerror)


def _prune(services: Services, *, dry_run: bool) -> PruneRecord:
    store = services.store
    blobs = dict(store.unused_blobs(older_than=time.time() - YOUNG_SECONDS))
    partials = dict(store.list_partials(older_than=time.time() - YOUNG_SECONDS))
    if not dry_run:
        removed = remove_unneeded(services, blobs)
        blobs = {digest: blobs[digest] for digest in removed}
        partials = {digest: size for digest, size in partials.items() if store.remove_partial(digest)}
        logger.info("removed %d unused blobs and %d unfinished ones", len(blobs), len(partials))
    unused = [("blob", *item) for item in blobs.items()] + [("partial", *item) for item in partials.items()]
    return PruneRecord(unused=[UnusedRecord(kind=kind, digest=str(d), size=size) for kind, d, size in unused])
