"""A daemon that is killed leaves no worker behind: neither one with a model, nor the spare."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open (Linux) to watch foreign processes"),
]

DAEMON = """
import sys, uvloop
from ollamapy import wire
from ollamapy.runner.launch import WorkerPool

async def serve():
    pool = WorkerPool(keep_spare=True, spare_delay_seconds=0)
    runner = pool.runner("stories", wire.LoadModel(sys.argv[1], [], n_ctx=2048, n_threads=1))
    await runner.start()
    spare = await pool.wait_spare()
    request = wire.Generate(1, [wire.Segment("Once")], [], True, wire.Sampling(), 512)
    async for output in runner.generate(request):
        print(runner.pid, spare, flush=True)

uvloop.run(serve())
"""


def wait_for_end(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(20_000))


def test_killing_the_daemon_in_mid_stream_ends_its_workers(shared_models: Path, checkout: Path) -> None:
    command = [sys.executable, "-c", DAEMON, str(shared_models / "gguf" / "stories260K-f32.gguf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout) as daemon:
        assert daemon.stdout is not None
        pids = [int(word) for word in daemon.stdout.readline().split()]
        assert len(pids) == 2
        watched = [os.pidfd_open(pid) for pid in pids]
        daemon.kill()
        ended = [wait_for_end(pidfd) for pidfd in watched]
    for pidfd in watched:
        os.close(pidfd)
    assert ended == [True, True]
