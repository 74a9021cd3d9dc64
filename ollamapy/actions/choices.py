"""Runs several answers to one request side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from ollamapy.types import Chunk, Options

MOST_WAITING = 64  # pieces that a slow client has not taken yet


async def merge_answers(answers: Sequence[AsyncGenerator[Chunk, None]]) -> AsyncGenerator[Chunk, None]:
    """Yield the pieces of all answers as they come, `index` telling whose; a failure of one ends all of them."""
    pieces: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue(MOST_WAITING)

    async def drain(index: int, answer: AsyncGenerator[Chunk, None]) -> None:
        try:
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    await pieces.put(replace(chunk, index=index))
        except Exception as exc:  # noqa: BLE001 - raised below, where the pieces are read
            await pieces.put(exc)
        else:
            await pieces.put(None)

    tasks = [asyncio.create_task(drain(index, answer)) for index, answer in enumerate(answers)]
    n_running = len(tasks)
    try:
        while n_running:
            piece = await pieces.get()
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                n_running -= 1
            else:
                yield piece
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def seeded(options: Options, number: int) -> Options:
    """Return the options of one of several answers: a seed that was given makes them differ, but always alike."""
    if options.seed is None or options.seed < 0:
        return options
    return replace(options, seed=options.seed + number)
