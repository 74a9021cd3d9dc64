"""Sends an answer while the client is there: as a stream of events or as one object.

An error before the first byte gets a status of its own; after it, the error is the last event, in the API's shape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from ollamapy.errors import OllamapyError
from ollamapy.server.errors import Failure, failure_of

logger = logging.getLogger("ollamapy.server")

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)


class Writer(Protocol[Item]):
    """How an API writes the pieces of an answer."""

    @property
    def stream_type(self) -> str:
        """The media type of a stream."""

    def events(self, item: Item) -> Iterable[bytes]:
        """Return the events of one piece."""

    def error(self, failure: Failure) -> bytes:
        """Return the event of an error in mid-stream."""

    def whole(self, items: Any) -> bytes:
        """Return the one object that all pieces make."""

    def is_whole(self, first: Item) -> bool:
        """Return whether an answer that begins so is one object even where the client asked for a stream."""


class Answer(Generic[T]):
    """ASGI application that sends one answer; closing `items` stops the work behind it."""

    def __init__(self, items: AsyncGenerator[T, None], writer: Writer[T], *, stream: bool) -> None:
        self._items = items
        self._writer = writer
        self._stream = stream

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; a client that goes away ends the work at once."""
        await while_connected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        async with aclosing(self._items) as items:
            first = await anext(items)
            if self._stream and not self._writer.is_whole(first):
                await self._send_stream(first, items, send)
                return
            gathered = [first, *[item async for item in items]]
        await send_whole(send, self._writer.whole(gathered))

    async def _send_stream(self, first: T, items: AsyncGenerator[T, None], send: Send) -> None:
        headers = [(b"content-type", self._writer.stream_type.encode()), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await self._send_events(first, send)
            async for item in items:
                await self._send_events(item, send)
        except OllamapyError as exc:
            logger.info("a stream ended with an error: %s", exc.message)
            await _send_part(send, self._writer.error(failure_of(exc)))
        except Exception as exc:
            logger.exception("a stream broke off")
            await _send_part(send, self._writer.error(failure_of(exc)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, item: T, send: Send) -> None:
        for event in self._writer.events(item):
            await _send_part(send, event)


class WholeAnswer:
    """ASGI application that sends one object as soon as `make` returned it; a client that goes away cancels that."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], media_type: str = JSON) -> None:
        self._make = make
        self._media_type = media_type

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await while_connected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        await send_whole(send, await self._make(), self._media_type)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run the work until it is done or the client goes away, whichever comes first; the request's body was read."""
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watcher.cancel()
        gone = not task.done()
        if gone:
            task.cancel()
        results = await asyncio.gather(task, watcher, return_exceptions=True)
    if not gone and isinstance(results[0], BaseException):
        raise results[0]
    if gone:
        logger.info("the client went away before its answer was complete")


async def send_whole(send: Send, body: bytes, media_type: str = JSON) -> None:
    """Send a complete response."""
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
