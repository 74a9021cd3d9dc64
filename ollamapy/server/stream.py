"""Sends an answer while the client is there: as a stream of events or as one object.

An error before the first byte gets a status of its own; after it, the error is the last event, in the API's shape.
Where an API has events that say nothing, they fill each long silence, so that no client or proxy gives up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from ollamapy.errors import OllamapyError, ServiceError
from ollamapy.server.errors import Failure, failure_of

logger = logging.getLogger("ollamapy.server")

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
KEEP_ALIVE_SECONDS = 15.0
SHUTTING_DOWN = "the server is shutting down"
T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)


class Writer(Protocol[Item]):
    """How an API writes the pieces of an answer."""

    @property
    def stream_type(self) -> str:
        """The media type of a stream."""

    @property
    def keep_alive(self) -> bytes:
        """The event that says nothing; empty where the API has none."""

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

    def __init__(
        self,
        items: AsyncGenerator[T, None],
        writer: Writer[T],
        *,
        stream: bool,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._items = items
        self._writer = writer
        self._stream = stream
        self._keep_alive_seconds = keep_alive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; a client that goes away ends the work at once."""
        request_id = scope.get("state", {}).get("request_id", "")
        await while_connected(receive, self._send(send, request_id), request_id)

    async def _send(self, send: Send, request_id: str) -> None:
        async with aclosing(self._items) as items:
            if not self._stream:
                await self._send_whole(await anext(items), items, send)
                return
            parts = _Parts(send, self._writer.stream_type, self._writer.keep_alive, self._keep_alive_seconds)
            try:
                first = await parts.wait_for(items)
                if self._writer.is_whole(first):
                    await self._send_whole(first, items, send)
                    return
                await self._send_events(first, items, parts)
            except asyncio.CancelledError:  # by the end of the daemon; a client that went away is told it in vain
                if not parts.is_begun:
                    raise
                await parts.send(self._writer.error(failure_of(ServiceError(SHUTTING_DOWN))))
            except Exception as exc:
                if not parts.is_begun:
                    raise
                _log_failure(exc, request_id)
                await parts.send(self._writer.error(failure_of(exc)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_whole(self, first: T, items: AsyncGenerator[T, None], send: Send) -> None:
        gathered = [first, *[item async for item in items]]
        await send_whole(send, self._writer.whole(gathered))

    async def _send_events(self, first: T, items: AsyncGenerator[T, None], parts: _Parts) -> None:
        await parts.begin()
        async with parts.kept_alive():
            for event in self._writer.events(first):
                await parts.send(event)
            async for item in items:
                for event in self._writer.events(item):
                    await parts.send(event)


class _Parts:
    """A response in parts; `is_begun` when its status is on the way."""

    def __init__(self, send: Send, media_type: str, keep_alive: bytes, keep_alive_seconds: float) -> None:
        self._send = send
        self._media_type = media_type
        self._keep_alive = keep_alive
        self._seconds = keep_alive_seconds
        self._clock = asyncio.get_running_loop().time
        self._sent_at = self._clock()
        self.is_begun = False

    async def begin(self) -> None:
        """Send the status and the headers, unless they were sent."""
        if not self.is_begun:
            self.is_begun = True
            headers = [(b"content-type", self._media_type.encode()), (b"cache-control", b"no-cache")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, body: bytes) -> None:
        """Send a part; the response has begun."""
        self._sent_at = self._clock()
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def wait_for(self, items: AsyncGenerator[T, None]) -> T:
        """Return the first item; begin the response where it takes so long that the client must hear something."""
        if not self._keep_alive:
            return await anext(items)
        first = asyncio.ensure_future(anext(items))
        try:
            while not (await asyncio.wait((first,), timeout=self._seconds))[0]:
                await self.begin()
                await self.send(self._keep_alive)
        finally:
            if not first.done():
                first.cancel()
                await asyncio.wait((first,))
        return await first

    @asynccontextmanager
    async def kept_alive(self) -> AsyncGenerator[None, None]:
        """Send something in each long silence within the block."""
        if not self._keep_alive:
            yield
            return
        task = asyncio.create_task(self._fill_silence())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _fill_silence(self) -> None:
        while True:
            await asyncio.sleep(max(self._sent_at + self._seconds - self._clock(), 0))
            if self._clock() - self._sent_at >= self._seconds:
                await self.send(self._keep_alive)


class WholeAnswer:
    """ASGI application that sends one object as soon as `make` returned it; a client that goes away cancels that."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], media_type: str = JSON) -> None:
        self._make = make
        self._media_type = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await while_connected(receive, self._send(send), scope.get("state", {}).get("request_id", ""))

    async def _send(self, send: Send) -> None:
        await send_whole(send, await self._make(), self._media_type)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None], request_id: str = "") -> None:
    """Run the work until it is done or the client goes away, whichever comes first; the request's body was read.

    The web server cancels what outlives it: the work ends then, too, with ServiceError if its response had not begun.
    """
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_wait_for_disconnect(receive))
    cause = "the client went away"
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        cause = SHUTTING_DOWN
    gone = not task.done()
    watcher.cancel()
    task.cancel()
    results = await asyncio.gather(task, watcher, return_exceptions=True)
    if not gone and isinstance(results[0], BaseException):
        raise results[0]
    if gone:
        logger.info("%s: %s before its answer was complete", request_id or "a request", cause)
    if cause == SHUTTING_DOWN and isinstance(results[0], asyncio.CancelledError):
        raise ServiceError(SHUTTING_DOWN)


async def send_whole(send: Send, body: bytes, media_type: str = JSON) -> None:
    """Send a complete response."""
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _log_failure(exc: Exception, request_id: str) -> None:
    if isinstance(exc, OllamapyError):
        logger.info("%s: a stream ended with an error: %s", request_id, exc.message)
    else:
        logger.error("%s: a stream broke off", request_id, exc_info=exc)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
