"""Takes in uploaded blobs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from ollamapy.actions.services import Services
from ollamapy.errors import BlobNotFoundError, InvalidFileError, TooLargeError
from ollamapy.gguf import check_file
from ollamapy.names import Digest
from ollamapy.store import Store

MAGIC = b"GGUF"
WRITE_BYTES = 1 << 20
MAX_BLOB_BYTES = 1 << 40


async def has_blob(services: Services, digest_text: str) -> bool:
    """Return whether a blob is in the store, seemingly whole; raises InvalidDigestError."""
    digest = Digest.parse(digest_text)
    return await asyncio.to_thread(_seems_whole, services.store, digest)


async def receive_blob(services: Services, digest_text: str, parts: AsyncIterator[bytes]) -> bool:
    """Store a blob as it arrives, and return whether it is new.

    One that is there already stays if its content is right, and is replaced otherwise.

    Raises InvalidDigestError, DigestMismatchError, TooLargeError; nothing of the blob stays then.
    """
    digest, disk = Digest.parse(digest_text), services.remotes.transfers.disk
    if await asyncio.to_thread(_is_whole, services.store, digest):
        return False
    with services.store.blob_writer() as writer:
        pending = bytearray()
        async for part in parts:
            pending += part
            if writer.size + len(pending) > MAX_BLOB_BYTES:
                raise TooLargeError(f"the blob is larger than {MAX_BLOB_BYTES} bytes")
            if len(pending) >= WRITE_BYTES:
                await disk.run(writer.write, bytes(pending))
                pending.clear()
        await disk.run(writer.write, bytes(pending))
        await disk.run(writer.commit, digest)
    return True


def _seems_whole(store: Store, digest: Digest) -> bool:
    """Tell by its size and its header whether a blob is as it was; changed bytes in its middle go unnoticed."""
    try:
        size, path = store.blob_size(digest), store.open_blob(digest)
    except BlobNotFoundError:
        return False
    manifests = (stored.manifest for stored in store.list_manifests())
    layers = (layer for manifest in manifests for layer in (*manifest.layers, manifest.config))
    if any(layer.size != size for layer in layers if layer.digest == digest):
        return False
    try:
        with store.read_blob_file(digest) as file:
            is_gguf = os.pread(file, len(MAGIC), 0) == MAGIC
        if is_gguf:
            check_file(path)
    except (BlobNotFoundError, InvalidFileError):
        return False
    return True


def _is_whole(store: Store, digest: Digest) -> bool:
    """Tell whether a blob is there, and delete it where its content is not that of its digest."""
    return store.has_blob(digest) and not store.delete_damaged(digest)
