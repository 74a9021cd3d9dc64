"""The scheduler over real child processes: fake workers, started and ended as the real ones are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from ollamapy import wire
from ollamapy.config import Settings
from ollamapy.errors import WorkerExitedError
from ollamapy.runner.launch import WorkerPool
from ollamapy.runner.runner import Runner
from ollamapy.scheduler.loop import Scheduler
from ollamapy.scheduler.spec import LoadSpec, ModelRunner
from tests.fakes.worker import fake_worker_command
from tests.scheduler.specs import make_spec

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Service:
    """A scheduler over a pool of fake workers that keeps a spare."""

    def __init__(self) -> None:
        self.runners: list[Runner] = []
        self.pool = WorkerPool(fake_worker_command(), keep_spare=True, spare_delay_seconds=0)
        self.scheduler = Scheduler(Settings(), self._launch, max_loaded=1)

    def _launch(self, spec: LoadSpec) -> Runner:
        self.runners.append(self.pool.runner(spec.name, spec.load))
        return self.runners[-1]

    async def answer(self, key: str, prompt: str) -> str:
        async with self.scheduler.acquire(make_spec(key)) as lease:
            return "".join([output.text async for output in lease.runner.generate(self.request(lease.runner, prompt))])

    @staticmethod
    def request(runner: ModelRunner, prompt: str) -> wire.Generate:
        return wire.Generate(runner.next_id(), [wire.Segment(prompt)], [], True, wire.Sampling(), 512)

    async def close(self) -> None:
        await self.scheduler.close()
        await self.pool.close()
        for runner in self.runners:
            assert runner.exit_code is not None, f"{runner} is still there"
        assert self.pool.spare_pid is None


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    one = Service()
    yield one
    await one.close()


async def test_many_requests_for_two_models_are_all_answered(service: Service) -> None:
    prompts = [f"{number} of {key}" for number in range(10) for key in ("a", "b")]
    answers = await asyncio.gather(*(service.answer(prompt[-1], prompt) for prompt in prompts))
    assert answers == [prompt + " " for prompt in prompts]
    assert len(service.runners) < 10, "requests of one model share its time in the slot"


async def test_a_swap_takes_the_spare_worker(service: Service) -> None:
    await service.answer("a", "hello")
    spare = await service.pool.wait_spare()
    await service.answer("b", "hello")
    assert service.runners[1].pid == spare


async def test_a_worker_killed_in_mid_stream_is_replaced_by_the_next_request(service: Service) -> None:
    async with service.scheduler.acquire(make_spec("a")) as lease:
        stream = lease.runner.generate(service.request(lease.runner, "!stall"))
        async with contextlib.aclosing(stream):
            await anext(stream)
            pid = service.runners[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(WorkerExitedError):
                await anext(stream)
    assert await service.answer("a", "hello") == "hello "
    assert len(service.runners) == 2


async def test_a_cancelled_load_leaves_no_process(service: Service) -> None:
    caller = asyncio.create_task(service.answer("a", "hello"))
    while not service.runners or service.runners[0].pid is None:  # noqa: ASYNC110 - nobody is told of a start
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    await service.runners[0].wait_exit()
    assert service.runners[0].exit_code == -signal.SIGKILL
