"""A pool of fake workers, and the check that none of them outlives its test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable

import pytest

from ollamapy import wire
from ollamapy.runner.launch import WorkerPool
from ollamapy.runner.process import DEFAULT_GRACE, Grace
from ollamapy.runner.runner import Runner
from tests.fakes.worker import fake_worker_command

LOAD = wire.LoadModel(path="/models/blobs/sha256-aa", adapters=[], n_ctx=4096)
MakeRunner = Callable[..., Runner]


@pytest.fixture(params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both event loops that the daemon may run on: they handle child processes with code of their own."""
    return "asyncio", {"use_uvloop": request.param}


def is_running(pid: int | None) -> bool:
    """Whether a process of that id exists, reaped ones not counted."""
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def generate(runner: Runner, prompt: str) -> wire.Generate:
    """Return a request for this prompt under a new id."""
    return wire.Generate(runner.next_id(), [wire.Segment(prompt)], [], True, wire.Sampling(), 512)


async def answer(runner: Runner, prompt: str) -> str:
    """Return the whole text that the worker answers."""
    return "".join([output.text async for output in runner.generate(generate(runner, prompt))])


@pytest.fixture
async def make_runner() -> AsyncIterator[MakeRunner]:
    """Return a function that makes a runner over a fake worker with these flags; all of them end with the test."""
    runners: list[Runner] = []

    def make(
        *flags: str,
        load_timeout_seconds: float = 60.0,
        step_timeout_seconds: float = 60.0,
        grace: Grace = DEFAULT_GRACE,
    ) -> Runner:
        pool = WorkerPool(
            fake_worker_command(*flags),
            keep_spare=False,
            load_timeout_seconds=load_timeout_seconds,
            step_timeout_seconds=step_timeout_seconds,
            grace=grace,
        )
        runners.append(pool.runner("fake:latest", LOAD))
        return runners[-1]

    yield make
    for runner in runners:
        await runner.stop()
    assert [runner for runner in runners if runner.pid is not None and is_running(runner.pid)] == []
