"""A mirror, and the registry behind it: what the mirror can't give is asked of the registry."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from ollamapy.errors import RegistryError, RegistryUnavailableError, RemoteNotFoundError
from ollamapy.names import Digest
from ollamapy.registry.client import Repository
from ollamapy.registry.http import Reply
from ollamapy.registry.retries import RETRIED_STATUSES

log = logging.getLogger("ollamapy.registry")


class MirroredRepository:
    """One model's repository at a mirror until that fails once, then at the registry itself.

    It fails where it can't be reached, is out of order, or lacks what is asked for. Refused credentials are no such
    failure, nor is a blob of another content: whoever set up the mirror wants to know of both.
    """

    def __init__(self, mirror: Repository, upstream: Repository) -> None:
        self._mirror, self._upstream = mirror, upstream
        self.notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<MirroredRepository {self._mirror.base_url}, {self._upstream.base_url}>"

    async def read_manifest(self) -> bytes:
        """Return the manifest as it is; raises as `Repository.read_manifest` does."""
        try:
            return await self._mirror.read_manifest()
        except RegistryUnavailableError as exc:
            why = exc.message
        except RemoteNotFoundError:
            why = "it does not have the model"
        self._leave_mirror(why)
        try:
            return await self._upstream.read_manifest()
        except RemoteNotFoundError:
            raise
        except RegistryError as exc:
            raise type(exc)(f"{self._complaint(why)}; {exc.message}") from exc

    @asynccontextmanager
    async def open_blob(self, digest: Digest, first: int, end: int | None) -> AsyncIterator[Reply]:
        """Ask for bytes of a blob as `Repository.open_blob` does."""
        async with AsyncExitStack() as stack:
            reply = await self._ask_mirror(stack, digest, first, end)
            if reply is None:
                reply = await stack.enter_async_context(self._upstream.open_blob(digest, first, end))
            yield reply

    async def _ask_mirror(self, stack: AsyncExitStack, digest: Digest, first: int, end: int | None) -> Reply | None:
        """Return the mirror's answer, None where it is not asked any more or fails."""
        if self.notes:
            return None
        try:
            reply = await stack.enter_async_context(self._mirror.open_blob(digest, first, end))
        except RegistryUnavailableError as exc:
            self._leave_mirror(exc.message)
            return None
        if reply.status == 404 or reply.status in RETRIED_STATUSES:
            self._leave_mirror(f"it answered with HTTP status {reply.status} for a blob")
            await stack.aclose()
            return None
        return reply

    def _leave_mirror(self, why: str) -> None:
        if not self.notes:
            self.notes = (f"{self._complaint(why)}; asking {urlsplit(self._upstream.base_url).netloc}",)
            log.warning("%s", self.notes[0])

    def _complaint(self, why: str) -> str:
        return f"the mirror {urlsplit(self._mirror.base_url).netloc} fails: {why}"
