"""A real worker whose memory is limited: llama.cpp can't allocate what the estimate says would fit."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ollamapy import wire
from ollamapy.config import Settings
from ollamapy.gguf import read_header
from ollamapy.runner.launch import WORKER_COMMAND, WorkerPool
from ollamapy.runner.runner import Runner
from ollamapy.scheduler.devices import Machine
from ollamapy.scheduler.loop import Scheduler
from ollamapy.scheduler.placement import Wish
from ollamapy.scheduler.shape import shape_of
from ollamapy.scheduler.spec import LoadSpec

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.model,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
NUM_CTX = 32_768
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
runpy.run_module("ollamapy.worker", run_name="__main__")
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def address_space_bytes() -> int:
    """Return what a worker that waits for its model has mapped."""
    pool = WorkerPool(keep_spare=True)
    await pool.measure()
    status = await asyncio.to_thread(Path(f"/proc/{pool.spare_pid}/status").read_text)
    await pool.close()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize:"))


async def test_a_model_is_loaded_with_fewer_cells_where_memory_ran_out(shared_models: Path) -> None:
    path = shared_models / "gguf" / "stories260K-f32.gguf"
    load = wire.LoadModel(str(path), [], 0, n_threads=1)
    shape = replace(shape_of(read_header(path)), context_length=0)  # any context will do
    spec = LoadSpec("stories", "stories", load, NUM_CTX, shape, Wish(num_ctx=NUM_CTX))
    limit = await address_space_bytes() + (640 << 20)  # of 16 requests the cells and the mask take 850 MiB
    python, *options = WORKER_COMMAND[:-2]
    pool = WorkerPool((python, *options, "-c", LIMITED, str(limit)), keep_spare=False)
    runners: list[Runner] = []

    def launch(placed: LoadSpec) -> Runner:
        runners.append(pool.runner(placed.name, placed.load))
        return runners[-1]

    async def survey() -> Machine:
        return Machine(host_total_bytes=1 << 40, host_free_bytes=1 << 40)

    scheduler = Scheduler(Settings(), launch, max_loaded=1, survey=survey)
    async with scheduler.acquire(spec) as lease:
        assert lease.num_ctx <= lease.ready.n_ctx
        (line,) = scheduler.loaded()
    await scheduler.close()
    await pool.close()
    assert [runner.state for runner in runners] == ["failed", "stopped"]
    assert line.reason.endswith("and all layers on the host failed for want of memory, it seems")
