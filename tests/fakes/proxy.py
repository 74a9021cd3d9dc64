"""A small HTTP proxy on loopback: tunnels for https, forwards http, and knows every name as this machine."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FakeProxy:
    """`asked` are the hosts that it was asked for; with `authorization` it wants that header of every request."""

    def __init__(self, authorization: str = "") -> None:
        self.asked: list[str] = []
        self.authorization = authorization
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        match = re.fullmatch(r"(?:http://)?([^/:]+):(\d+)(.*)", target)
        assert match, target
        if self.authorization and f"proxy-authorization: {self.authorization}\r\n".lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        self.asked.append(f"{match[1]}:{match[2]}")
        remote_reader, remote_writer = await asyncio.open_connection("127.0.0.1", int(match[2]))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # one request for each connection
            lines = head.removesuffix("\r\n\r\n").replace(target, match[3], 1).split("\r\n")
            lines = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
            remote_writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        await asyncio.gather(copy(reader, remote_writer), copy(remote_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextmanager
def fake_proxy(authorization: str = "") -> Iterator[FakeProxy]:
    """Run a proxy in a thread; its `port` is on 127.0.0.1."""
    proxy, ready = FakeProxy(authorization), threading.Event()
    loop = asyncio.new_event_loop()

    async def main(stop: asyncio.Event) -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stop)))
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
