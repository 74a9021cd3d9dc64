"""Speaks the registry protocol with one registry: manifests, blobs and uploads of one repository.

Source: the OCI distribution specification 1.1, which Ollama's registry follows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ollamapy.config import Registry
from ollamapy.errors import (
    RegistryError,
    RegistryUnavailableError,
    RemoteNotFoundError,
    TransferError,
    UnauthorizedError,
)
from ollamapy.names import Digest, ModelName
from ollamapy.registry.address import origin
from ollamapy.registry.auth import DENIED, Challenge, Token, basic, parse_challenge, parse_token, token_url
from ollamapy.registry.http import MAX_REDIRECTS, Body, Http, Reply, Request
from ollamapy.registry.retries import RETRIED_STATUSES, Retries, parse_retry_after

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
MAX_MANIFEST_BYTES = 4 << 20


class Repository:
    """One model's repository in a registry; tokens are fetched when asked for and kept while they last."""

    def __init__(self, http: Http, registry: Registry, name: ModelName, retries: Retries, *, push: bool) -> None:
        self._http = http
        self._registry = registry
        self._retries = retries
        self._scope = f"repository:{name.namespace}/{name.model}:pull" + (",push" if push else "")
        self._token = Token(registry.token, float("inf")) if registry.token else None
        self._token_until = float("inf")
        self._uses_basic = False
        self._lock = asyncio.Lock()
        self.name = name
        self.base_url = f"{registry.url}/v2/{name.namespace}/{name.model}"

    def __repr__(self) -> str:
        return f"<Repository {self.base_url}>"

    async def read_manifest(self) -> bytes:
        """Return the manifest as it is.

        Raises RemoteNotFoundError, UnauthorizedError, RegistryUnavailableError, TransferError.
        """
        return await self._retries.run(self._read_manifest)

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

    @asynccontextmanager
    async def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: Body = None, *, follow: bool = True
    ) -> AsyncIterator[Reply]:
        """Send a request with what is known of credentials, and again after an answerable challenge.

        A body that is a stream can't be sent twice: ask for something small first. Raises UnauthorizedError.
        """
        redirects = MAX_REDIRECTS if follow else 0
        used = self._authorization()
        async with self._http.open(Request(method, url, headers or {}, used, body), redirects) as reply:
            if reply.status != 401 or origin(reply.url) != origin(self._registry.url):
                yield reply
                return
            challenge = parse_challenge(reply.header("www-authenticate"))
        if challenge is None or not isinstance(body, bytes | None):
            raise UnauthorizedError(DENIED)
        renewed = await self._answer(challenge, used)
        async with self._http.open(Request(method, url, headers or {}, renewed, body), redirects) as reply:
            if reply.status == 401:
                raise UnauthorizedError(DENIED)
            yield reply

    def _authorization(self) -> str:
        if self._uses_basic:
            return basic(self._registry.username, self._registry.password)
        if self._token is None or time.monotonic() > self._token_until:
            return ""
        return f"Bearer {self._token.value}"

    async def _answer(self, challenge: Challenge, refused: str) -> str:
        """Return better credentials than those that were refused; raises UnauthorizedError where there are none."""
        async with self._lock:
            if self._authorization() not in ("", refused):
                return self._authorization()  # another request was faster
            if challenge.scheme == "basic":
                if not self._registry.username or self._uses_basic:
                    raise UnauthorizedError(DENIED)
                self._uses_basic = True
            elif self._registry.token:
                raise UnauthorizedError(DENIED)
            else:
                self._token = await self._fetch_token(challenge)
                self._token_until = time.monotonic() + self._token.lifetime_seconds
            return self._authorization()

    async def _fetch_token(self, challenge: Challenge) -> Token:
        url = token_url(challenge, self._registry.url, self._registry.auth_host, self._scope)
        credentials = basic(self._registry.username, self._registry.password)
        async with self._http.open(Request("GET", url, {}, credentials), redirects=0) as reply:
            if reply.status in (400, 401, 403, 404):
                raise UnauthorizedError(DENIED)
            expect(reply, 200)
            return parse_token(await reply.read())


def expect(reply: Reply, *statuses: int) -> None:
    """Raise the error that a status stands for, unless it is one of these."""
    if reply.status not in statuses:
        raise failure(reply)


def failure(reply: Reply) -> RegistryError:
    """Return the error that an unexpected status stands for."""
    host = origin(reply.url)[1]
    if reply.status in (401, 403):
        return UnauthorizedError(DENIED)
    if reply.status in RETRIED_STATUSES:
        asked = parse_retry_after(reply.header("retry-after"))
        return RegistryUnavailableError(f"{host} answered with HTTP status {reply.status}; try again later", asked)
    if reply.status == 404:
        return RemoteNotFoundError(f"{host} does not have what was asked for")
    return TransferError(f"{host} answered with HTTP status {reply.status}")
