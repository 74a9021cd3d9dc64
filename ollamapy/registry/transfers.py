"""The downloads that are under way: who wants the same blob joins the one that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass

from ollamapy.errors import DigestMismatchError, TransferError
from ollamapy.names import Digest
from ollamapy.registry.disk import Disk
from ollamapy.registry.download import Download, Opener, Pace, Target, settle
from ollamapy.registry.throttle import Throttle

PROGRESS_SECONDS = 0.06


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob to be fetched: from where, and to where. `is_there` and `open_target` block."""

    digest: Digest
    size_bytes: int
    is_there: Callable[[], bool]
    open_target: Callable[[], AbstractContextManager[Target]]
    open_range: Opener


class Transfer:
    """A download that any number of callers wait for; it ends with the last of them, and what has arrived stays."""

    def __init__(self, wanted: Wanted, disk: Disk, pace: Pace, throttle: Throttle) -> None:
        self._wanted = wanted
        self._disk, self._pace, self._throttle = disk, pace, throttle
        self._target: Target | None = None
        self._is_there = False
        self.waiters = 0
        self.task = asyncio.create_task(self._run())

    @property
    def completed_bytes(self) -> int:
        """How many bytes are there."""
        if self._is_there:
            return self._wanted.size_bytes
        return self._target.done.total_bytes if self._target else 0

    async def watch(self) -> AsyncGenerator[int, None]:
        """Yield the number of bytes that are there whenever it changed, at last all; raises what ended it."""
        told = -1
        while not self.task.done():
            if self.completed_bytes != told:
                told = self.completed_bytes
                yield told
            await asyncio.wait((self.task,), timeout=PROGRESS_SECONDS)
        self.task.result()
        if told != self._wanted.size_bytes:
            yield self._wanted.size_bytes

    async def _run(self) -> None:
        wanted = self._wanted
        self._is_there = await self._disk.run(wanted.is_there)
        if self._is_there:
            return
        with ExitStack() as stack:
            target = self._target = await self._disk.run(stack.enter_context, wanted.open_target())
            try:
                await Download(target, wanted.open_range, self._disk, self._pace, self._throttle).run()
            except DigestMismatchError as exc:
                await self._disk.run(target.discard)
                raise TransferError(
                    f"digest mismatch, file must be downloaded again: want {exc.expected}, got {exc.got}"
                ) from exc


class Transfers:
    """All downloads of a daemon; they share threads and a rate."""

    def __init__(self, pace: Pace | None = None, max_rate_bytes: int = 0) -> None:
        self._pace = pace or Pace()
        self.throttle = Throttle(max_rate_bytes)
        self._running: dict[Digest, Transfer] = {}
        self.disk = Disk()

    def __repr__(self) -> str:
        return f"<Transfers {len(self._running)} under way>"

    @asynccontextmanager
    async def join(self, wanted: Wanted) -> AsyncIterator[Transfer]:
        """Take part in the download of a blob, which begins with the first who wants it."""
        transfer = self._running.get(wanted.digest)
        while transfer is not None and transfer.waiters == 0:  # its last waiter is just leaving
            await asyncio.wait((transfer.task,))
            found = self._running.get(wanted.digest)
            transfer = None if found is transfer else found
        if transfer is None:
            transfer = self._running[wanted.digest] = Transfer(wanted, self.disk, self._pace, self.throttle)
        transfer.waiters += 1
        try:
            yield transfer
        finally:
            transfer.waiters -= 1
            if transfer.waiters == 0:
                transfer.task.cancel()
                try:
                    await settle([transfer.task])
                finally:
                    if self._running.get(wanted.digest) is transfer:
                        del self._running[wanted.digest]

    def close(self) -> None:
        """Let the threads end; whoever waited was cancelled before."""
        self.disk.close()
