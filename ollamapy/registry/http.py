"""Sends requests and follows redirects within bounds; translates every failure of the HTTP library."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpcore

from ollamapy.config import Proxies
from ollamapy.errors import RegistryUnavailableError, TransferError, UnauthorizedError
from ollamapy.registry.address import origin, redirect_target
from ollamapy.registry.connect import CheckedNetwork
from ollamapy.registry.proxy import choose_proxy, proxy_address, proxy_of
from ollamapy.version import __version__

MAX_REDIRECTS = 10
MAX_TEXT_BYTES = 64 << 10
CONNECT_SECONDS = 10.0
PROXY_DENIED = (
    "unauthorized: the proxy wants another user or password; they stand in HTTPS_PROXY and HTTP_PROXY, as "
    "http://user:password@host:port"
)
REDIRECTS = (301, 302, 303, 307, 308)
Body = bytes | AsyncIterator[bytes] | None
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds: `silence` between two pieces of an answer, `text` for a small answer as a whole."""

    silence_seconds: float = 30.0
    text_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `authorization` goes to its own origin and to no other."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)
    body: Body = None


class Reply:
    """An answer whose body has not been read yet; `url` is where it came from after redirects."""

    def __init__(self, response: httpcore.Response, url: str, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self.url = url
        self.status = response.status

    def __repr__(self) -> str:
        return f"<Reply {self.status}>"

    def header(self, name: str) -> str:
        """Return a header's value, "" without one."""
        wanted = name.lower().encode()
        return next((v.decode("latin-1") for k, v in self._response.headers if k.lower() == wanted), "")

    @property
    def length(self) -> int | None:
        """The announced length of the body in bytes."""
        text = self.header("content-length")
        return int(text) if text.isdecimal() and len(text) < 20 else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body; raises TransferError for one that is compressed."""
        if self.header("content-encoding").lower() not in ("", "identity"):
            raise TransferError("the registry compressed its answer although it was asked not to")
        async for piece in self._response.aiter_stream():
            yield piece

    async def read(self, limit_bytes: int = MAX_TEXT_BYTES) -> bytes:
        """Return the body; raises TransferError if it is larger, RegistryUnavailableError if it takes too long."""
        if (self.length or 0) > limit_bytes:
            raise TransferError(f"the registry's answer is larger than {limit_bytes} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.text_seconds):
                async for piece in self.pieces():
                    body += piece
                    if len(body) > limit_bytes:
                        raise TransferError(f"the registry's answer is larger than {limit_bytes} bytes")
        except TimeoutError as exc:
            raise RegistryUnavailableError("the registry sends its answer too slowly") from exc
        return bytes(body)


class Http:
    """The way to all registries. `configured` are the origins that may be private, and http:// if they say so."""

    def __init__(
        self,
        configured: frozenset[tuple[str, str, int]] = frozenset(),
        ca_files: Mapping[tuple[str, int], str] | None = None,
        limits: Limits | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._configured = configured
        self._limits = limits or Limits()
        self._proxies = proxies or Proxies()
        self._ca_files = dict(ca_files or {})
        self._pools: dict[tuple[str, str], httpcore.AsyncConnectionPool] = {}
        private = {(host, port) for _, host, port in configured}
        self._network = CheckedNetwork(frozenset(private))
        private |= {proxy_address(url) for url in (self._proxies.https, self._proxies.http) if url}
        self._network_to_proxies = CheckedNetwork(frozenset(private))

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    @asynccontextmanager
    async def open(self, request: Request, redirects: int = MAX_REDIRECTS) -> AsyncIterator[Reply]:
        """Send a request and hand over its answer, whatever its status, after at most that many redirects.

        Raises RegistryUnavailableError, TransferError.
        """
        url, authorization = request.url, request.authorization
        for left in range(redirects, -1, -1):
            async with self._send(request, url, authorization) as reply:
                if reply.status not in REDIRECTS or redirects == 0:
                    yield reply
                    return
                target = redirect_target(url, reply.header("location"))
            if left == 0:
                break
            if origin(target) != origin(url):
                authorization = ""
            url = target
        raise TransferError(f"the registry redirected more than {redirects} times")

    @asynccontextmanager
    async def _send(self, request: Request, url: str, authorization: str) -> AsyncIterator[Reply]:
        scheme, host, port = origin(url)
        if scheme == "http" and (scheme, host, port) not in self._configured:
            raise TransferError(
                f"{host} is not configured as a registry without TLS; if it is meant to be, name it with http:// in "
                "OLLAMAPY_REGISTRIES"
            )
        headers = {
            "Host": urlsplit(url).netloc,
            "User-Agent": f"ollamapy/{__version__}",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if authorization:
            if not _PRINTABLE.fullmatch(authorization):
                raise TransferError(f"the credentials for {host} hold characters that no header may have")
            headers["Authorization"] = authorization
        silence = self._limits.silence_seconds
        timeouts = {"connect": CONNECT_SECONDS, "read": silence, "write": silence, "pool": None}
        proxy = choose_proxy(self._proxies, scheme, host, port)
        if proxy:
            await self._network.check(host, port)
        pool = await self._pool(self._ca_files.get((host, port), ""), proxy)
        with translated(host):
            async with pool.stream(
                request.method,
                url,
                headers=list(headers.items()),
                content=request.body,
                extensions={"timeout": timeouts},
            ) as response:
                yield Reply(response, url, self._limits)

    async def _pool(self, ca_file: str, proxy: str) -> httpcore.AsyncConnectionPool:
        found = self._pools.get((ca_file, proxy))
        if found is not None:
            return found
        made = httpcore.AsyncConnectionPool(
            ssl_context=await asyncio.to_thread(_read_certificates, ca_file),
            max_connections=None,
            max_keepalive_connections=32,
            keepalive_expiry=30.0,
            network_backend=self._network_to_proxies if proxy else self._network,
            proxy=proxy_of(proxy) if proxy else None,
        )
        return self._pools.setdefault((ca_file, proxy), made)


def _read_certificates(ca_file: str) -> ssl.SSLContext:
    """Return whom to trust; blocks for a noticeable time. Raises TransferError for a file that can't be read."""
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else httpcore.default_ssl_context()
    except OSError as exc:
        raise TransferError("the ca_file of this registry can't be read; see config.toml") from exc


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn the HTTP library's errors into ours."""
    try:
        yield
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
        if "CERTIFICATE" in str(exc):
            raise TransferError(f"could not trust {host} ({exc}); if it is yours, give it a ca_file") from exc
        raise RegistryUnavailableError(f"could not connect to {host}", is_unreachable=True) from exc
    except httpcore.ProxyError as exc:
        if str(exc).startswith("407"):
            raise UnauthorizedError(PROXY_DENIED) from exc
        raise RegistryUnavailableError(f"the proxy does not connect to {host}: it answered {exc}") from exc
    except httpcore.TimeoutException as exc:
        raise RegistryUnavailableError(f"{host} did not answer in time") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise RegistryUnavailableError(f"the connection to {host} broke") from exc
    except httpcore.UnsupportedProtocol as exc:
        raise TransferError(f"{host} was addressed in an unknown protocol") from exc
