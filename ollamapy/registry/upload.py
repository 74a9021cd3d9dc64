"""Sends blobs and manifests: in chunks, each of which goes on where the registry says that the last one ended."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit

from ollamapy.errors import (
    RegistryError,
    RegistryUnavailableError,
    RemoteNotFoundError,
    TransferError,
    UnauthorizedError,
)
from ollamapy.names import Digest
from ollamapy.registry.address import origin
from ollamapy.registry.client import Repository
from ollamapy.registry.disk import Disk
from ollamapy.registry.http import Reply
from ollamapy.registry.retries import Retries
from ollamapy.registry.session import expect
from ollamapy.registry.throttle import Throttle

CHUNK_BYTES = 8 << 20
RESTARTS = 3
FORGOTTEN = (400, 404, 405, 410, 416)  # of registries that can't tell how far an upload is, or won't go on with it
LEAVE_SECONDS = 5.0  # what a chunk on its way is given to arrive when the push is cancelled
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")

log = logging.getLogger("ollamapy.registry")

ReadAt = Callable[[int, int], bytes]
"""Returns a number of bytes of the blob from an offset on; blocks."""


class Journal(Protocol):
    """Remembers where an upload goes on. `ollamapy.store.UploadJournal` is one; its methods block."""

    def read(self) -> str:
        """Return the address, "" where there is none."""

    def write(self, address: str) -> None:
        """Keep an address; "" forgets it."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is sent."""

    digest: Digest
    size_bytes: int
    read_at: ReadAt


class Upload:
    """One blob on its way to a repository."""

    def __init__(self, repository: Repository, blob: Blob, journal: Journal, disk: Disk) -> None:
        self._repository = repository
        self._digest = blob.digest
        self._size = blob.size_bytes
        self._read_at = blob.read_at
        self._journal = journal
        self._disk = disk
        self._sums: list[bytes] | None = None

    async def run(
        self, retries: Retries, throttle: Throttle, source: str = "", chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[int, None]:
        """Yield how many bytes the registry has, until it has all; `source` may lend it the blob without sending.

        Raises RegistryError.
        """
        for _ in range(RESTARTS):
            if await retries.run(self._is_there):
                await self._keep("")
                yield self._size
                return
            url, sent = await self._take_up(retries)
            is_resumed = sent > 0
            url = url or await retries.run(partial(self._begin, source))
            if not url:
                yield self._size
                return
            try:
                async with aclosing(self._send_all(url, sent, retries, throttle, chunk_bytes)) as counts:
                    async for count in counts:
                        yield count
            except RemoteNotFoundError:
                log.info("the registry does not know the upload of %s any more; looking again", self._digest)
            except TransferError as exc:
                if not is_resumed:
                    raise
                log.info("the upload of %s that was taken up again failed (%s); beginning anew", self._digest, exc)
            else:
                return
            await self._keep("")
            source = ""
        raise TransferError("the registry forgets uploads before they are complete")

    async def _take_up(self, retries: Retries) -> tuple[str, int]:
        """Return where an earlier push left off, and how far the registry is with it; ("", 0) for nowhere.

        A registry that wants the sums of the parts gets all of them anew: they are not known any more.
        """
        address = await self._disk.run(self._journal.read)
        if not address or self._repository.wants_etags:
            return "", 0
        try:
            self._check_origin(address)
            return await retries.run(partial(self._resume, address))
        except UnauthorizedError:
            raise
        except RegistryError as exc:
            log.info("the upload of %s can't be taken up again: %s", self._digest, exc.message)
            return "", 0

    async def _send_all(
        self, url: str, sent: int, retries: Retries, throttle: Throttle, chunk_bytes: int
    ) -> AsyncGenerator[int, None]:
        failures = 0
        self._sums = [] if self._repository.wants_etags else None
        while sent < self._size:
            await self._keep(url)
            yield sent
            try:
                data = await self._disk.run(self._read_at, sent, min(chunk_bytes, self._size - sent))
                await throttle.take(len(data))
                url = await self._send_whole(url, sent, data)
                sent, failures = sent + len(data), 0
                if self._sums is not None:
                    self._sums.append(await self._disk.run(_md5, data))
            except RegistryUnavailableError as exc:
                failures += 1
                log.info("upload of %s at byte %d: %s", self._digest, sent, exc.message)
                await retries.wait(failures, exc)
                url, sent = await retries.run(partial(self._resume, url))
                self._sums = None  # what became one part there is not known any more
        await self._keep(url)
        await retries.run(partial(self._finish, url))
        await self._keep("")
        yield self._size

    async def _keep(self, url: str) -> None:
        await self._disk.run(self._journal.write, url)

    async def _is_there(self) -> bool:
        async with self._repository.request("HEAD", f"{self._repository.base_url}/blobs/{self._digest}") as reply:
            if reply.status == 404:
                return False
            expect(reply, 200)
            return True

    async def _begin(self, source: str) -> str:
        """Return the URL to send to; "" where the registry took the blob from another repository."""
        query = "?" + urlencode({"mount": str(self._digest), "from": source}) if source else ""
        url = f"{self._repository.base_url}/blobs/uploads/{query}"
        async with self._repository.request("POST", url, {"Content-Length": "0"}, b"", follow=False) as reply:
            expect(reply, 201, 202)
            return "" if reply.status == 201 else self._location(reply, url)

    async def _send_whole(self, url: str, start: int, data: bytes) -> str:
        """Send a chunk and return where the next one goes; one that is cancelled is given time to arrive first.

        Some registries forget an upload of which they got half a chunk.
        """
        sending = asyncio.create_task(self._send(url, start, data))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait((sending,), timeout=LEAVE_SECONDS)
            if sending.done() and not sending.cancelled() and not sending.exception():
                await self._keep(sending.result())
            raise
        finally:
            sending.cancel()

    async def _send(self, url: str, start: int, data: bytes) -> str:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(data)),
            "Content-Range": f"{start}-{start + len(data) - 1}",
        }
        async with self._repository.request("PATCH", url, headers, data, follow=False) as reply:
            if reply.status == 416:
                raise RegistryUnavailableError("the registry has another part of the blob than was sent before")
            expect(reply, 202)
            return self._location(reply, url)

    async def _resume(self, url: str) -> tuple[str, int]:
        """Ask how far the registry is."""
        async with self._repository.request("GET", url, follow=False) as reply:
            if reply.status in FORGOTTEN:
                raise RemoteNotFoundError("the registry can't go on with an upload")
            expect(reply, 204, 202)
            match = _RANGE.fullmatch(reply.header("range"))
            # an empty upload is told as 0-0, as if there were a byte
            sent = int(match[1]) + 1 if match and match[1] != "0" else 0
            if sent > self._size:
                raise TransferError("the registry says that it has more of a blob than was sent")
            return self._location(reply, url), sent

    async def _finish(self, url: str) -> None:
        parts = urlsplit(url)
        query = (parts.query + "&" if parts.query else "") + urlencode({"digest": str(self._digest), **self._etag()})
        full = parts._replace(query=query).geturl()
        async with self._repository.request("PUT", full, {"Content-Length": "0"}, b"", follow=False) as reply:
            expect(reply, 201, 204)

    def _etag(self) -> dict[str, str]:
        """Return what Ollama's registry knows an upload by: the sum of its parts' sums, and their number."""
        return {"etag": f"{_md5(b''.join(self._sums)).hex()}-{len(self._sums)}"} if self._sums else {}

    def _location(self, reply: Reply, url: str) -> str:
        target = urljoin(url, reply.header("docker-upload-location") or reply.header("location") or url)
        self._check_origin(target)
        return target

    def _check_origin(self, url: str) -> None:
        if origin(url) != origin(self._repository.base_url):
            raise TransferError("the registry wants the upload to go to another host; this is refused")


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


async def write_manifest(repository: Repository, data: bytes, media_type: str, retries: Retries) -> None:
    """Put a manifest under the repository's tag; all blobs that it names must be there. Raises RegistryError."""

    async def put() -> None:
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        url = f"{repository.base_url}/manifests/{repository.name.tag}"
        async with repository.request("PUT", url, headers, data, follow=False) as reply:
            expect(reply, 200, 201)

    await retries.run(put)
