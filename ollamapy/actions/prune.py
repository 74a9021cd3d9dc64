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
from ollamapy.store import Store, blob_name
from ollamapy.wire import state_prefix

YOUNG_SECONDS = 3600  # what was used since may be about to become part of a model

logger = logging.getLogger("ollamapy.actions")


async def prune(services: Services, *, dry_run: bool) -> PruneRecord:
    """Remove blobs that no model names and unfinished downloads that nobody goes on with, and return them.

    With `dry_run` nothing is removed. Raises StoreError.
    """
    return await asyncio.to_thread(_prune, services.store, services.settings.state_dir, dry_run=dry_run)


def forget_prompts(folder: Path | None, removed: Iterable[Digest]) -> None:
    """Delete the known prompts that are kept for models whose weights were removed; a failure is only logged."""
    if folder is None:
        return
    for digest in removed:
        for path in folder.glob(state_prefix(blob_name(digest)) + "*"):
            try:
                path.unlink(missing_ok=True)
            except OSError as exc:
                logger.warning("known prompts of a deleted model stay in %s: %s", path, exc.strerror)


def _prune(store: Store, state_folder: Path | None, *, dry_run: bool) -> PruneRecord:
    blobs = dict(store.unused_blobs(older_than=time.time() - YOUNG_SECONDS))
    partials = dict(store.list_partials(older_than=time.time() - YOUNG_SECONDS))
    if not dry_run:
        removed = store.prune(blobs)
        forget_prompts(state_folder, removed)
        blobs = {digest: blobs[digest] for digest in removed}
        partials = {digest: size for digest, size in partials.items() if store.remove_partial(digest)}
        logger.info("removed %d unused blobs and %d unfinished ones", len(blobs), len(partials))
    unused = [("blob", *item) for item in blobs.items()] + [("partial", *item) for item in partials.items()]
    return PruneRecord(unused=[UnusedRecord(kind=kind, digest=str(d), size=size) for kind, d, size in unused])
