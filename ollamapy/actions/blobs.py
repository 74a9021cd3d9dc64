"""Takes in uploaded blobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ollamapy.actions.services import Services
from ollamapy.errors import TooLargeError
from ollamapy.names import Digest

WRITE_BYTES = 1 << 20
MAX_BLOB_BYTES = 1 << 40


async def has_blob(services: Services, digest_text: str) -> bool:
    """Return whether a blob is in the store; raises InvalidDigestError."""
    digest = Digest.parse(digest_text)
    return await asyncio.to_thread(services.store.has_blob, digest)


async def receive_blob(services: Services, digest_text: str, parts: AsyncIterator[bytes]) -> bool:
    """Store a blob as it arrives, and return whether it is new.

    Raises InvalidDigestError, DigestMismatchError, TooLargeError; nothing of the blob stays then.
    """
    if await has_blob(services, digest_text):
        return False
    with services.store.blob_writer() as writer:
        pending = bytearray()
        async for part in parts:
            pending += part
            if writer.size + len(pending) > MAX_BLOB_BYTES:
                raise TooLargeError(f"the blob is larger than {MAX_BLOB_BYTES} bytes")
            if len(pending) >= WRITE_BYTES:
                await asyncio.to_thread(writer.write, bytes(pending))
                pending.clear()
        await asyncio.to_thread(writer.write, bytes(pending))
        await asyncio.to_thread(writer.commit, Digest.parse(digest_text))
    return True
