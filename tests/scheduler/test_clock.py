from __future__ import annotations

import asyncio
import time

from ollamapy.scheduler.clock import SystemClock


def test_an_alarm_rings_once_its_time_has_come() -> None:
    async def wait_for_alarm() -> None:
        clock = SystemClock()
        rung = asyncio.Event()
        when = clock.now() + 0.01
        clock.call_at(when, rung.set)
        await rung.wait()
        assert clock.now() >= when - 0.001

    asyncio.run(wait_for_alarm())


def test_the_wall_clock_counts_from_the_epoch() -> None:
    assert abs(SystemClock().wall() - time.time()) < 60
