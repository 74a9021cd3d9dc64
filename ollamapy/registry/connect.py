"""Opens connections: a name is resolved here, its addresses are checked, and one of just those is connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import httpcore

from ollamapy.errors import RegistryUnavailableError, TransferError
from ollamapy.registry.address import is_public
from ollamapy.registry.stream import Connection

LOOKUP_SECONDS = 3.0  # where a proxy would find the address
MOST_REMEMBERED = 256
SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """A network on which only public addresses exist, and those that the configuration names as (host, port)."""

    def __init__(self, configured: frozenset[tuple[str, int]]) -> None:
        self._configured = configured
        self._left_to_proxy: set[str] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - part of httpcore's interface
        local_address: str | None = None,  # noqa: ARG002 - nor do we give the pool one
        socket_options: SocketOptions | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host by name; raises TransferError where none of its addresses is allowed."""
        failure: Exception | None = None
        for address in await self._addresses(host, port, timeout):
            try:
                return await Connection.open(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def check(self, host: str, port: int) -> None:
        """Raise TransferError for a host that a proxy is not to be asked for: none of its addresses is allowed.

        One whose addresses are not known here, as is usual behind a proxy, is left to the proxy.
        """
        if host in self._left_to_proxy:
            return
        try:
            await self._addresses(host, port, LOOKUP_SECONDS)
        except RegistryUnavailableError:
            if len(self._left_to_proxy) < MOST_REMEMBERED:
                self._left_to_proxy.add(host)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int, limit_seconds: float | None) -> list[str]:
        try:
            async with asyncio.timeout(limit_seconds):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as exc:
            message = f"could not find the address of {host}; is this machine online?"
            raise RegistryUnavailableError(message, is_unreachable=True) from exc
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if (host.lower(), port) in self._configured:
            return addresses
        allowed = [address for address in addresses if is_public(address)]
        if not allowed:
            raise TransferError(
                f"{host}:{port} is an address of this machine or of a private network, which only a configured "
                "registry may have; see OLLAMAPY_REGISTRIES"
            )
        return allowed
