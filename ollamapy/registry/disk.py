"""Runs blocking work in threads of its own, and never leaves it behind: a cancelled caller waits for its thread.

What a thread writes to must stay open until the thread is done, even where nobody wants the result any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 4


class Disk:
    """A few threads for transfers alone, so that they don't keep requests waiting for the common ones."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="transfer")

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns; a cancellation takes effect when the work is done."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))
        cancelled = False
        while not future.done():
            try:
                await asyncio.wait((future,))
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            future.exception()  # seen: it is not the caller's any more
            raise asyncio.CancelledError
        return future.result()
