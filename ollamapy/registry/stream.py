"""One connection as the HTTP library wants it, over asyncio's own streams.

The library's own way through anyio reads on while nobody takes what has arrived: on a fast link that is some megabytes
for each connection. Here reading stops at a bound, and what has arrived is handed over as a whole and not in pieces.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

READ_BYTES = 256 << 10


class Connection(httpcore.AsyncNetworkStream):
    """A connection to one address, with TLS after `start_tls`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str, port: int, limit_seconds: float | None) -> Connection:
        """Connect; raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        with _named(httpcore.ConnectError, httpcore.ConnectTimeout):
            async with asyncio.timeout(limit_seconds):
                return cls(*await asyncio.open_connection(address, port, limit=READ_BYTES))

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        """Return what has arrived, b"" at the end; it may be more than the library asks for, which takes any size."""
        with _named(httpcore.ReadError, httpcore.ReadTimeout):
            async with asyncio.timeout(timeout):
                return await self._reader.read(max(max_bytes, READ_BYTES))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send bytes."""
        with _named(httpcore.WriteError, httpcore.WriteTimeout):
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()

    async def aclose(self) -> None:
        """Close the connection, without waiting for the other side."""
        self._writer.close()
        await asyncio.sleep(0)
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Return the same connection with TLS."""
        with _named(httpcore.ConnectError, httpcore.ConnectTimeout):
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection; `is_readable` while idle says that the other side closed it."""
        if info == "is_readable":
            return self._reader.at_eof() or self._reader.exception() is not None
        return self._writer.get_extra_info(info)


@contextmanager
def _named(error: type[Exception], timeout: type[Exception]) -> Iterator[None]:
    """Turn the system's errors into the library's."""
    try:
        yield
    except TimeoutError as exc:
        raise timeout(str(exc)) from exc
    except (OSError, EOFError) as exc:
        raise error(str(exc)) from exc
