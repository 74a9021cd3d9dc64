"""Keeps all transfers together below a rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Throttle:
    """`bytes_per_second` of 0 is without limit. Time comes from the loop's clock, and passes by `sleep`."""

    def __init__(self, bytes_per_second: int = 0, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._rate = bytes_per_second
        self._sleep = sleep
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until that many more bytes fit."""
        if self._rate <= 0:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + count / self._rate
        await self._sleep(self._free_at - now)
