"""Requests to one registry with the credentials that it asks for: basic, bearer tokens, Ollama's signed keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from ollamapy.config import Registry
from ollamapy.errors import (
    RegistryError,
    RegistryUnavailableError,
    RemoteNotFoundError,
    TransferError,
    UnauthorizedError,
)
from ollamapy.registry.address import origin
from ollamapy.registry.auth import DENIED, Challenge, Token, basic, parse_challenge, parse_token, stamped, token_url
from ollamapy.registry.http import MAX_REDIRECTS, PROXY_DENIED, Body, Http, Reply, Request
from ollamapy.registry.retries import RETRIED_STATUSES, parse_retry_after


class Key(Protocol):
    """A user's private key. `ollamapy.registry.keys.SigningKey` is one."""

    @property
    def public_text(self) -> str:
        """The public half as a line of OpenSSH."""

    def authorization(self, url: str) -> str:
        """Return the header's value for a GET of this URL."""


FindKey = Callable[[], Key]
"""Returns the user's key, making it if need be; blocks."""


class Session:
    """Tokens are fetched when a registry asks for them and kept while they last; `scope` is what they are to allow."""

    def __init__(self, http: Http, registry: Registry, scope: str, find_key: FindKey) -> None:
        self._http = http
        self._registry = registry
        self._scope = scope
        self._find_key = find_key
        self._token = Token(registry.token, float("inf")) if registry.token else None
        self._token_until = float("inf")
        self._uses_basic = False
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Session {self._registry.url} {self._scope}>"

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
            raise self._denied()
        renewed = await self._answer(challenge, used)
        async with self._http.open(Request(method, url, headers or {}, renewed, body), redirects) as reply:
            if reply.status == 401:
                raise self._denied()
            yield reply

    async def check(self) -> bool:
        """Ask whether the credentials are right; False where the registry asks for none. Raises UnauthorizedError."""
        async with self._http.open(Request("GET", f"{self._registry.url}/v2/")) as reply:
            if reply.status == 200:
                return False
        async with self.request("GET", f"{self._registry.url}/v2/") as reply:
            expect(reply, 200)
            return True

    def _denied(self) -> UnauthorizedError:
        is_known = bool(self._registry.username or self._registry.token)
        remedy = "" if is_known else f"; `ollamapy login {self._registry.host}` keeps credentials for this registry"
        return UnauthorizedError(DENIED + remedy)

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
                    raise self._denied()
                self._uses_basic = True
            elif self._registry.token:
                raise self._denied()
            else:
                self._token = await self._fetch_token(challenge)
                self._token_until = time.monotonic() + self._token.lifetime_seconds
            return self._authorization()

    async def _fetch_token(self, challenge: Challenge) -> Token:
        url = token_url(challenge, self._registry.url, self._registry.auth_host, self._scope)
        credentials = basic(self._registry.username, self._registry.password)
        if self._registry.ollama_key and not credentials:
            url = stamped(url)
            credentials = (await asyncio.to_thread(self._find_key)).authorization(url)
        async with self._http.open(Request("GET", url, {}, credentials), redirects=0) as reply:
            if reply.status in (400, 401, 403, 404):
                raise self._denied()
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
    if reply.status == 407:
        return UnauthorizedError(PROXY_DENIED)
    if reply.status in RETRIED_STATUSES:
        asked = parse_retry_after(reply.header("retry-after"))
        return RegistryUnavailableError(f"{host} answered with HTTP status {reply.status}; try again later", asked)
    if reply.status == 404:
        return RemoteNotFoundError(f"{host} does not have what was asked for")
    return TransferError(f"{host} answered with HTTP status {reply.status}")
