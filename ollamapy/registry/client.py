"""Speaks the registry protocol with one registry: manifests, blobs and uploads of one repository.

Source: the OCI distribution specification 1.1, which Ollama's registry follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ollamapy.config import Registry
from ollamapy.errors import RemoteNotFoundError
from ollamapy.names import Digest, ModelName
from ollamapy.registry.http import Body, Reply
from ollamapy.registry.retries import Retries
from ollamapy.registry.session import Session, expect

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
MAX_MANIFEST_BYTES = 4 << 20


class Repository:
    """One model's repository in a registry."""

    def __init__(self, session: Session, registry: Registry, name: ModelName, retries: Retries) -> None:
        self._session = session
        self._retries = retries
        self.name = name
        self.notes: tuple[str, ...] = ()  # what whoever pulls from it is to know
        self.wants_oci = registry.oci
        self.wants_etags = registry.ollama_key
        self.base_url = f"{registry.url}/v2/{name.namespace}/{name.model}"

    def __repr__(self) -> str:
        return f"<Repository {self.base_url}>"

    async def read_manifest(self) -> bytes:
        """Return the manifest as it is.

        Raises RemoteNotFoundError, UnauthorizedError, RegistryUnavailableError, TransferError.
        """
        return await self._retries.at_first.run(self._read_manifest)

    async def _read_manifest(self) -> bytes:
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        async with self.request("GET", f"{self.base_url}/manifests/{self.name.tag}", headers) as reply:
            if reply.status == 404:
                raise RemoteNotFoundError("file does not exist")
            expect(reply, 200)
            return await reply.read(MAX_MANIFEST_BYTES)

    @asynccontextmanager
    async def open_blob(self, digest: Digest, first: int, end: int | None) -> AsyncIterator[Reply]:
        """Ask for the bytes [first, end) of a blob, all of it with `end` None; hands over the answer unread."""
        headers = {} if end is None else {"Range": f"bytes={first}-{end - 1}"}
        async with self.request("GET", f"{self.base_url}/blobs/{digest}", headers) as reply:
            yield reply

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: Body = None, *, follow: bool = True
    ) -> AbstractAsyncContextManager[Reply]:
        """Send a request as `Session.request` does."""
        return self._session.request(method, url, headers, body, follow=follow)


def scope_of(name: ModelName, *, push: bool) -> str:
    """Return what a token has to allow."""
    return f"repository:{name.namespace}/{name.model}:pull" + (",push" if push else "")
