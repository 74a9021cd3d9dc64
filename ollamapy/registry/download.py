"""Fetches one blob: in parallel parts, each of which survives breaks and stalls, hashed while it arrives."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ollamapy.errors import DigestMismatchError, OllamapyError, RegistryUnavailableError, TransferError
from ollamapy.names import Digest
from ollamapy.registry.disk import Disk
from ollamapy.registry.http import Reply
from ollamapy.registry.retries import Retries
from ollamapy.registry.session import expect
from ollamapy.registry.throttle import Throttle

WRITE_BYTES = 2 << 20  # at a multiple of them: the system then keeps the file in huge pages, which are read faster
HASH_BYTES = 64 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")

log = logging.getLogger("ollamapy.registry")

Opener = Callable[[int, int | None], AbstractAsyncContextManager[Reply]]
"""Asks for the bytes [first, end) of the blob, for all of it where `end` is None."""


class Written(Protocol):
    """Which bytes are there."""

    @property
    def frontier(self) -> int:
        """Up to where nothing lacks."""

    @property
    def total_bytes(self) -> int:
        """How many there are."""

    def add(self, start: int, end: int) -> None:
        """Add a range."""

    def missing(self, size_bytes: int) -> list[tuple[int, int]]:
        """Return what lacks."""

    def __iter__(self) -> Any:
        """Yield the ranges."""


class Target(Protocol):
    """Where the blob goes. `ollamapy.store.PartialBlob` is one, and tells more."""

    digest: Digest
    size_bytes: int
    hashed_bytes: int
    is_resumed: bool

    @property
    def done(self) -> Written:
        """What is written."""

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes at their place."""

    def save(self, done: tuple[tuple[int, int], ...]) -> None:
        """Make sure that these ranges outlive this process."""

    def hash_to(self, end: int) -> None:
        """Take the bytes up to there into the digest."""

    def publish(self) -> None:
        """Make it a blob; raises DigestMismatchError."""

    def reset(self) -> None:
        """Begin anew."""

    def discard(self) -> None:
        """Delete it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a blob is cut and how long a stall may last."""

    streams: int = 8
    min_part_bytes: int = 4 << 20
    max_part_bytes: int = 64 << 20
    parts: int = 64
    stall_seconds: float = 15.0
    stall_bytes: int = 16 << 10  # fewer than that within `stall_seconds` is a stall
    retries: Retries = field(default_factory=Retries)

    def part_bytes(self, size_bytes: int) -> int:
        """Return the length of the parts of a blob, which begin where a write may begin."""
        length = min(max(size_bytes // self.parts, self.min_part_bytes), self.max_part_bytes)
        return -(-length // WRITE_BYTES) * WRITE_BYTES if length > WRITE_BYTES else length


class RangesIgnoredError(OllamapyError):
    """The registry sends the whole blob whatever range is asked for."""


class Download:
    """One blob on its way. `open_range` belongs to one registry; several parts use it at once."""

    def __init__(self, target: Target, open_range: Opener, disk: Disk, pace: Pace, throttle: Throttle) -> None:
        self._target = target
        self._open_range = open_range
        self._disk = disk
        self._pace = pace
        self._throttle = throttle
        self._saving = asyncio.Lock()
        self._wanted_saves = self._saves = 0
        self._written = asyncio.Event()

    async def run(self) -> None:
        """Fetch what lacks, verify all of it and publish it; what has arrived stays where this fails.

        Raises RegistryError, StoreError for the disk.
        """
        target = self._target
        try:
            await self._fetch()
            await self._disk.run(target.publish)
        except DigestMismatchError:
            if not target.is_resumed:
                raise
            log.warning("what was kept of blob %s is damaged; fetching it again", target.digest)
            await self._disk.run(target.reset)
            await self._fetch()
            await self._disk.run(target.publish)

    async def _fetch(self) -> None:
        try:
            await self._together(*self._ranged())
        except RangesIgnoredError:
            log.info("the registry can't resume blob %s; fetching it in one piece", self._target.digest)
            await self._together(self._whole())

    def _ranged(self) -> list[Coroutine[Any, Any, None]]:
        length = self._pace.part_bytes(self._target.size_bytes)
        parts: deque[tuple[int, int]] = deque()
        for start, end in self._target.done.missing(self._target.size_bytes):
            parts.extend((at, min(at + length, end)) for at in range(start, end, length))
        return [self._work(parts) for _ in range(min(self._pace.streams, len(parts)))]

    async def _together(self, *work: Coroutine[Any, Any, None]) -> None:
        """Run all of it beside the hashing; the first failure ends the rest and is raised."""
        tasks = [asyncio.create_task(item) for item in (*work, self._hash())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await settle(tasks)
            if work:
                await self._save()
        for task in done:
            task.result()

    async def _work(self, parts: deque[tuple[int, int]]) -> None:
        while parts:
            start, end = parts.popleft()
            await self._part(start, end)
            await self._save()

    async def _part(self, start: int, end: int) -> None:
        failures = 0
        while start < end:
            before = start
            try:
                start = await self._receive(start, end)
            except RegistryUnavailableError as exc:
                start = self._reached(before, end)
                failures = 1 if start - before >= self._pace.stall_bytes else failures + 1
                log.info("blob %s at byte %d: %s", self._target.digest, start, exc.message)
                await self._pace.retries.wait(failures, exc)

    def _reached(self, start: int, end: int) -> int:
        """Return up to where the part from `start` is written."""
        gaps = self._target.done.missing(end)
        return next((max(at, start) for at, stop in gaps if stop > start), end)

    async def _receive(self, start: int, end: int) -> int:
        """Ask once for a part and return up to where it came; an answer that is cut is no error here."""
        target = self._target
        is_whole = (start, end) == (0, target.size_bytes)
        async with self._open_range(start, end) as reply:
            expect(reply, 200, 206)
            if reply.status == 206:
                check_range(reply.header("content-range"), start, end, target.size_bytes)
            elif not is_whole:
                raise RangesIgnoredError
            came = await self._drain(reply, start, end)
        if came == start:
            raise RegistryUnavailableError("the registry sent nothing of a blob")
        return came

    async def _drain(self, reply: Reply, at: int, end: int) -> int:
        """Write an answer's body, which must not be longer than the part."""
        loop = asyncio.get_running_loop()
        if reply.length is not None and reply.length > end - at:
            raise TransferError(f"the registry sends more than the {end - at} bytes of a blob that were asked for")
        buffer = bytearray(min(WRITE_BYTES, end - at))  # one for the whole part: growing ones scatter over the heap
        room = min(WRITE_BYTES - at % WRITE_BYTES, len(buffer))
        filled = recent = 0
        try:
            async with asyncio.timeout(self._pace.stall_seconds) as limit:
                async for piece in reply.pieces():
                    recent += len(piece)
                    if at + filled + len(piece) > end:
                        raise TransferError("the registry sends more of a blob than its manifest says")
                    rest = memoryview(piece)
                    while rest:
                        count = min(len(rest), room - filled)
                        buffer[filled : filled + count] = rest[:count]
                        filled, rest = filled + count, rest[count:]
                        if filled == room:
                            limit.reschedule(None)  # our own disk and throttle are no stall of the registry
                            at, filled = await self._write(at, end, memoryview(buffer)[:filled]), 0
                            room = len(buffer)
                            recent = self._pace.stall_bytes
                    if recent >= self._pace.stall_bytes:
                        limit.reschedule(loop.time() + self._pace.stall_seconds)
                        recent = 0
        except TimeoutError as exc:
            raise RegistryUnavailableError("the registry stalls") from exc
        finally:
            at = await self._write(at, end, memoryview(buffer)[:filled])
        return at

    async def _write(self, at: int, end: int, data: memoryview) -> int:
        """Write what lies before `end`, beyond which another part may have been written, and return up to where."""
        end = min(at + len(data), end)
        if end > at:
            await self._throttle.take(end - at)
            await self._disk.run(self._target.write, at, data[: end - at])
            self._target.done.add(at, end)
            self._written.set()
        return end

    async def _whole(self) -> None:
        """Fetch the blob in one piece, from its beginning at each try."""
        await self._pace.retries.run(self._receive_whole)

    async def _receive_whole(self) -> None:
        size = self._target.size_bytes
        await self._disk.run(self._target.reset)
        async with self._open_range(0, None) as reply:
            expect(reply, 200)
            if await self._drain(reply, 0, size) != size:
                raise RegistryUnavailableError("the registry ended a blob too early")

    async def _hash(self) -> None:
        target = self._target
        while target.hashed_bytes < target.size_bytes:
            end = min(target.done.frontier, target.hashed_bytes + HASH_BYTES)
            if end > target.hashed_bytes:
                await self._disk.run(target.hash_to, end)
            else:
                self._written.clear()
                await self._written.wait()

    async def _save(self) -> None:
        """Make what is written outlive this process; one at a time, since an older journal must not come last."""
        self._wanted_saves += 1
        own = self._wanted_saves
        async with self._saving:
            if self._saves >= own:  # another part's journal had this one in it
                return
            latest = self._wanted_saves
            await self._disk.run(self._target.save, tuple(self._target.done))
            self._saves = latest


def check_range(header: str, start: int, end: int, size_bytes: int) -> None:
    """Raise RegistryUnavailableError for another range than was asked for, TransferError for another blob size."""
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or (int(match[1]), int(match[2])) != (start, end - 1):
        raise RegistryUnavailableError("the registry sent another part of a blob than was asked for")
    if match[3] not in ("*", str(size_bytes)):
        raise TransferError("the registry has a blob of another size than its manifest says")


async def settle(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until all tasks have ended, however often this one is cancelled meanwhile."""
    cancelled = False
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if cancelled:
        raise asyncio.CancelledError
