"""A daemon that is killed at random moments of a pull, and a link that breaks all the time.

`OLLAMAPY_TEST_BIG=1` takes a blob of 300 MB and 20 kills in place of a small one and a few.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ollamapy.client import Client
from ollamapy.errors import StoreError
from ollamapy.names import Digest
from ollamapy.registry import Pace
from ollamapy.store import Store
from tests.conftest import CHECKOUT
from tests.fakes.docker_registry import free_port
from tests.fakes.registry import FakeRegistry, Puller, digest_of, fake_registry, plain, ranged

IS_BIG = bool(os.environ.get("OLLAMAPY_TEST_BIG"))
SIZE, KILLS, RATE = (300_000_000, 20, "60M") if IS_BIG else (60_000_000, 4, "40M")
PACE = Pace()


@contextmanager
def daemon(folder: Path, registry: FakeRegistry) -> Iterator[tuple[Client, subprocess.Popen[bytes]]]:
    """A daemon as a process of its own; what is left of it is killed at the end."""
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMAPY_REGISTRIES": registry.base_url,
        "OLLAMAPY_MAX_RATE": RATE,
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ollamapy", "serve"], cwd=CHECKOUT, env=environ, stdout=log, stderr=log
        )
    try:
        with Client(f"127.0.0.1:{port}") as client:
            while not client.is_running():
                assert process.poll() is None, (folder / "log").read_text()
            yield client, process
    finally:
        process.kill()
        process.wait()


def asked_bytes(registry: FakeRegistry, digest: str) -> int:
    """How many bytes of a blob were asked for."""
    ranges = [headers.get("range", "") for _, path, headers in registry.requests if digest in path]
    return sum(
        int(match[2]) - int(match[1]) + 1 for match in map(re.compile(r"bytes=(\d+)-(\d+)").match, ranges) if match
    )


def test_each_pull_after_a_kill_goes_on_with_all_but_the_parts_in_flight(tmp_path):
    data = os.urandom(SIZE)
    digest = digest_of(data)
    moments = sorted(random.Random(7).sample(range(SIZE // 100, SIZE * 95 // 100), KILLS))
    with fake_registry() as registry:
        registry.add("me/big:latest", data)
        name = f"{registry.host}/me/big"
        kills = 0
        for moment in moments:
            with daemon(tmp_path, registry) as (client, process), closing(client.pull(name)) as steps:
                for step in steps:
                    assert not Store(tmp_path / "models").has_blob(Digest.parse(digest))
                    if step.digest == digest and step.completed >= moment:
                        break
                process.kill()
                kills += 1
        with daemon(tmp_path, registry) as (client, _process):
            assert list(client.pull(name))[-1].status == "success"
        in_flight = PACE.streams * PACE.part_bytes(SIZE)
        assert asked_bytes(registry, digest) <= SIZE + kills * in_flight
    assert Store(tmp_path / "models").open_blob(Digest.parse(digest)).read_bytes() == data


def test_a_link_that_resets_stalls_and_sends_wrong_ranges_still_completes(tmp_path):
    data = os.urandom(20_000_000)
    chance = random.Random(3)

    async def cut(body: bytes, *, stalls: bool):
        yield body[: len(body) // 3]
        if stalls:
            await asyncio.Event().wait()
        raise ConnectionResetError

    def bend(request: Request, answer: Response) -> Response:
        if answer.status_code != 206:
            return answer
        dice = chance.random()
        headers = {"content-range": answer.headers["content-range"], "content-length": str(len(answer.body))}
        if dice < 0.2:
            return StreamingResponse(cut(bytes(answer.body), stalls=dice < 0.05), 206, headers)
        if dice < 0.25:
            return Response(answer.body, 206, {"content-range": "bytes 0-1/2"})
        if dice < 0.3:
            return Response(status_code=503, headers={"retry-after": "0"})
        return answer

    with fake_registry() as registry:
        registry.add("me/big:latest", data)
        registry.bend = bend
        puller = Puller(tmp_path, plain(registry))
        assert puller.pull(f"{registry.host}/me/big")[-1].status == "success"
    assert puller.store.open_blob(Digest.parse(digest_of(data))).read_bytes() == data


def test_a_disk_that_is_full_keeps_what_it_has_and_the_next_pull_completes(tmp_path):
    """The limit of a file's size stands for the disk: it is an error of the same kind."""
    data = os.urandom(SIZE)
    with fake_registry() as registry:
        registry.add("me/big:latest", data)
        name = f"{registry.host}/me/big"
        with daemon(tmp_path, registry) as (client, process):
            limit = ["prlimit", "--pid", str(process.pid), f"--fsize={SIZE // 2}:{SIZE}"]
            if subprocess.run(limit, capture_output=True).returncode:
                pytest.skip("prlimit can't limit a process here")
            with pytest.raises(StoreError, match="the disk is full; remove models"):
                list(client.pull(name))
            registry.requests.clear()
            subprocess.run(["prlimit", "--pid", str(process.pid), f"--fsize={SIZE}:{SIZE}"], check=True)
            assert list(client.pull(name))[-1].status == "success"
        assert asked_bytes(registry, digest_of(data)) < SIZE
    assert Store(tmp_path / "models").open_blob(Digest.parse(digest_of(data))).read_bytes() == data


def test_ranges_are_answered_as_by_a_web_server():
    request = Request({"type": "http", "headers": [(b"range", b"bytes=2-3")]})
    assert ranged(request, b"abcdef").body == b"cd"
