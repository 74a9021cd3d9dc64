from __future__ import annotations

import asyncio
import os
import sys

import pytest

from ollamapy import wire
from ollamapy.config import worker_environment
from ollamapy.runner.process import Listener, spawn_worker

TELL = """
import os
from ollamapy import wire
os.write(1, wire.encode_frame(wire.Text(0, os.environ.get("GOMP_SPINCOUNT", ""))))
"""


@pytest.mark.anyio
async def test_a_worker_starts_in_that_environment() -> None:
    told: list[wire.FromWorker] = []
    ended = asyncio.Event()
    worker = await spawn_worker((sys.executable, "-c", TELL))
    worker.attach(Listener(told.append, lambda _garbage: None, ended.set))
    await ended.wait()
    assert told == [wire.Text(0, worker_environment(os.environ).get("GOMP_SPINCOUNT", ""))]
