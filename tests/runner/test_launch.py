from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from ollamapy.errors import LoadError
from ollamapy.runner.launch import WorkerPool, worker_command
from ollamapy.runner.process import PACKAGE_FOLDER
from tests.fakes.worker import fake_worker_command
from tests.runner.conftest import LOAD, answer, is_running

pytestmark = pytest.mark.anyio


def make_pool(*, keep_spare: bool = True) -> WorkerPool:
    return WorkerPool(fake_worker_command(), keep_spare=keep_spare, spare_delay_seconds=0)


def test_a_worker_imports_nothing_that_only_lies_beside_the_package() -> None:
    assert worker_command(["/bin", "/lib", str(PACKAGE_FOLDER)])[1:] == ("-P", "-m", "ollamapy.worker")
    assert worker_command([str(PACKAGE_FOLDER), "/lib"])[1:] == ("-m", "ollamapy.worker")


async def test_a_daemon_whose_installation_is_gone_says_that_it_needs_a_restart(tmp_path: Path) -> None:
    pool = WorkerPool((str(tmp_path / "python"), "-m", "ollamapy.worker"), keep_spare=False)
    with pytest.raises(LoadError, match=r"the installation was replaced or removed .* restart the daemon"):
        await pool.runner("first", LOAD).start()
    await pool.close()


async def test_there_is_no_spare_before_the_first_load() -> None:
    pool = make_pool()
    assert repr(pool) == "<WorkerPool, spare pid None>"
    await pool.close()


async def test_the_next_runner_takes_the_spare() -> None:
    pool = make_pool()
    first, second = pool.runner("first", LOAD), pool.runner("second", LOAD)
    await first.start()
    spare = await pool.wait_spare()
    assert spare != first.pid
    await second.start()
    assert second.pid == spare
    assert await answer(second, "hello") == "hello "
    assert await pool.wait_spare() not in (first.pid, second.pid)
    last = pool.spare_pid
    for ending in (first.stop(), second.stop(), pool.close()):
        await ending
    assert [pid for pid in (first.pid, second.pid, last) if is_running(pid)] == []


async def test_a_dead_spare_is_replaced() -> None:
    pool = make_pool()
    first, second = pool.runner("first", LOAD), pool.runner("second", LOAD)
    await first.start()
    spare = await pool.wait_spare()
    assert spare is not None
    os.kill(spare, signal.SIGKILL)
    while pool.spare_pid is not None:  # noqa: ASYNC110 - nobody is told of a spare's end
        await asyncio.sleep(0)
    await second.start()
    assert second.pid != spare
    for ending in (first.stop(), second.stop(), pool.close()):
        await ending


async def test_no_spare_is_kept_where_none_is_wanted() -> None:
    pool = make_pool(keep_spare=False)
    runner = pool.runner("first", LOAD)
    await runner.start()
    assert await pool.wait_spare() is None
    await runner.stop()
    await pool.close()


async def test_a_closed_pool_keeps_no_spare() -> None:
    pool = make_pool()
    runner = pool.runner("first", LOAD)
    await runner.start()
    await pool.close()
    assert await pool.wait_spare() is None
    await runner.stop()


async def test_a_measurement_tells_the_devices_and_leaves_its_worker_as_the_spare() -> None:
    pool = WorkerPool(fake_worker_command("--measure=2"), keep_spare=True)
    devices = await pool.measure()
    assert [(device.name, device.kind, device.total) for device in devices] == [
        ("FAKE0", "gpu", 8 << 30),
        ("FAKE1", "gpu", 8 << 30),
    ]
    spare = pool.spare_pid
    assert len(await pool.measure()) == 2
    assert pool.spare_pid == spare
    runner = pool.runner("first", LOAD)
    await runner.start()
    assert runner.pid == spare
    await runner.stop()
    await pool.close()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--measure=exit", "--last-words=error: no driver"),
            "exited with code 3 before it told its devices: error: no driver",
        ),
        (("--measure=stall",), "did not tell"),
    ],
)
async def test_a_worker_that_can_not_tell_is_ended(flags: tuple[str, ...], message: str) -> None:
    pool = WorkerPool(fake_worker_command(*flags), keep_spare=True, measure_seconds=0.2 if "stall" in flags[0] else 60)
    with pytest.raises(LoadError, match=message):
        await pool.measure()
    assert pool.spare_pid is None
    await pool.close()


async def test_a_spare_can_be_had_at_once() -> None:
    pool = WorkerPool(fake_worker_command(), keep_spare=True, spare_delay_seconds=1000)
    pool.warm()
    pool.warm()
    spare = await pool.wait_spare()
    assert spare is not None
    pool.warm()
    assert await pool.wait_spare() == spare
    await pool.close()
    pool.warm()
    assert await pool.wait_spare() is None


async def test_who_swaps_models_gets_the_next_spare_at_once() -> None:
    pool = WorkerPool(fake_worker_command(), keep_spare=True, spare_delay_seconds=1000)
    first, second = pool.runner("first", LOAD), pool.runner("second", LOAD)
    await first.start()
    pool.warm()
    assert await pool.wait_spare() is not None
    await second.start()
    assert await pool.wait_spare() not in (None, second.pid)
    for ending in (first.stop(), second.stop(), pool.close()):
        await ending
