"""How long it takes to answer from another model than the one in memory, beside loading that model alone."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ollamapy import wire
from ollamapy.runner.launch import WorkerPool
from ollamapy.scheduler.loop import Scheduler
from ollamapy.scheduler.spec import LoadSpec

N_CTX = 2048


class Settings:
    """What the scheduler reads of the settings."""

    keep_alive_seconds = 300.0
    max_queue = 64


def swap_figures(models: Sequence[Path], rounds: int) -> Iterator[str]:
    """Yield the figures of loading each of two models bare and of swapping between them."""
    for path in models:
        path.read_bytes()  # into the page cache
    bare, swaps = asyncio.run(_measure(models, rounds))
    yield f"bare load (worker up, weights in the page cache): median {statistics.median(bare):.3f} s of {len(bare)}"
    yield f"swap (request to lease): median {statistics.median(swaps):.3f} s, most {max(swaps):.3f} s of {len(swaps)}"
    yield f"a swap costs {statistics.median(swaps) - statistics.median(bare):+.3f} s beside the bare load"


async def _measure(models: Sequence[Path], rounds: int) -> tuple[list[float], list[float]]:
    pool = WorkerPool(keep_spare=True, spare_delay_seconds=0.0)
    scheduler = Scheduler(
        Settings(), lambda spec: pool.runner(spec.name, spec.load), max_loaded=1, prepare=lambda _: pool.warm()
    )
    specs = [_spec(path) for path in models]
    bare: list[float] = []
    swaps: list[float] = []
    try:
        for number in range(2 * rounds):
            spec = specs[number % len(specs)]
            await _spare(pool)
            bare.append(await _bare_load(pool, spec))
            await _spare(pool)
            started = time.monotonic()
            async with scheduler.acquire(spec):
                if number:
                    swaps.append(time.monotonic() - started)
    finally:
        await scheduler.close()
        await pool.close()
    return bare, swaps


async def _spare(pool: WorkerPool) -> None:
    pool.warm()
    await pool.wait_spare()
    await pool.measure()  # returns when the worker has imported everything


async def _bare_load(pool: WorkerPool, spec: LoadSpec) -> float:
    runner = pool.runner(spec.name, spec.load)
    started = time.monotonic()
    await runner.start()
    seconds = time.monotonic() - started
    await runner.stop()
    return seconds


def _spec(path: Path) -> LoadSpec:
    return LoadSpec(path.stem, str(path), wire.LoadModel(path=str(path), adapters=[], n_ctx=N_CTX), N_CTX)
