"""The bandwidth limit, on a clock of its own."""

from __future__ import annotations

import asyncio

import pytest

from ollamapy.registry.throttle import Throttle


async def take_all(rate: int, counts: list[int]) -> float:
    """Return how long a number of pieces take that come at once."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    throttle = Throttle(rate, sleep)
    for count in counts:
        await throttle.take(count)
    return max(pauses, default=0.0)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 0.0), (100, 10.0), (1000, 1.0)])
def test_all_transfers_together_stay_below_the_rate(rate: int, seconds: float) -> None:
    assert asyncio.run(take_all(rate, [100] * 10)) == pytest.approx(seconds, abs=0.1)
