"""How fast pulls are beside curl and sha256sum, what they cost, and what running answers notice of them."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Self

from bench_lib.figures import percentile
from bench_lib.processes import cpu_seconds, current_rss
from bench_lib.registries import daemon, docker_registry, make_model
from ollamapy.client import Client
from ollamapy.types import GenerateRequest, Options

MIB = 1 << 20
SAMPLE_SECONDS = 0.02


class Memory:
    """The highest resident size of a process while a block runs, above what it had at the start; in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.idle = current_rss(pid)
        self.highest = self.idle

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_why: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.highest = max(self.highest, current_rss(self._pid))


def speed(folder: Path, size_bytes: int, rounds: int) -> Iterator[str]:
    """Yield a line for each round: our pull into an empty store, and curl to a file with sha256sum of it."""
    with docker_registry(folder / "registry") as address:
        name = f"{address}/bench/model"
        digest = publish(folder / "publisher", address, name, size_bytes)
        ratios = []
        for number in range(rounds):
            ours, line = _pull_once(folder / "daemon", address, name)
            theirs = _curl_once(folder / "file", f"http://{address}/v2/bench/model/blobs/{digest}")
            ratios.append(ours / theirs)
            yield f"round {number + 1}: {line}; curl + sha256sum {theirs:.2f} s; ratio {ours / theirs:.2f}"
        yield f"ratio: median {percentile(ratios, 50):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"


def publish(folder: Path, address: str, name: str, size_bytes: int) -> str:
    """Make a model and push it; returns the digest of its weights."""
    digest = make_model(folder, name, size_bytes)
    with daemon(folder, address) as (client, _process):
        for _step in client.push(name):
            continue
    rmtree(folder)
    return digest


def _pull_once(folder: Path, address: str, name: str) -> tuple[float, str]:
    with daemon(folder, address) as (client, process):
        used = cpu_seconds(process.pid)
        started = time.monotonic()
        with Memory(process.pid) as memory:
            for _step in client.pull(name):
                continue
        wall = time.monotonic() - started
        used = cpu_seconds(process.pid) - used
    rmtree(folder)
    above = (memory.highest - memory.idle) / MIB
    return wall, f"pull {wall:.2f} s, {used:.2f} s of processor time, {above:.0f} MiB above idle"


def _curl_once(path: Path, url: str) -> float:
    started = time.monotonic()
    subprocess.run(["curl", "--silent", "--fail", "--output", str(path), url], check=True)
    subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - started
    path.unlink()
    return wall


def gaps(folder: Path, size_bytes: int, rounds: int) -> Iterator[str]:
    """Yield a line for each round: gaps between tokens of the bundled model, alone and beside a pull.

    The pull runs at 100 MB/s, as over a fast line, and then as fast as it can.
    """
    with docker_registry(folder / "registry") as address:
        name = f"{address}/bench/model"
        publish(folder / "publisher", address, name, size_bytes)
        for rate in ("100M", "0"):
            with daemon(folder / "daemon", address, OLLAMAPY_MAX_RATE=rate) as (client, _process):
                _answer_gaps(client)
                for number in range(rounds):
                    alone, beside = _gaps_of_round(client, name)
                    yield (
                        f"round {number + 1}: alone {_told(alone)}; beside a pull at "
                        f"{'full speed' if rate == '0' else rate} {_told(beside)}"
                    )


def _gaps_of_round(client: Client, name: str) -> tuple[list[float], list[float]]:
    started = time.monotonic()
    with Client(client.base_url) as second:
        pulling = threading.Thread(target=_drain, args=(second, name))
        pulling.start()
        beside = _gaps_while(client, pulling.is_alive)
        pulling.join()
        second.delete(name)
    until = time.monotonic() + (time.monotonic() - started)
    return _gaps_while(client, lambda: time.monotonic() < until), beside


def _drain(client: Client, name: str) -> None:
    for _step in client.pull(name):
        continue


def _gaps_while(client: Client, goes_on: Callable[[], bool]) -> list[float]:
    found: list[float] = []
    while goes_on():
        found += _answer_gaps(client)
    return found


def _answer_gaps(client: Client) -> list[float]:
    """Return the time between the pieces of one answer, in ms."""
    request = GenerateRequest("wren", "Tell me a story about a dog and a cat.", options=Options(num_predict=400))
    moments = [time.monotonic() for chunk in client.generate(request) if not chunk.done]
    return [1000 * (after - before) for before, after in pairwise(moments)]


def _told(values: list[float]) -> str:
    shares = ", ".join(f"p{share} {percentile(values, share):.1f}" for share in (50, 95, 99))
    return f"{shares}, max {max(values, default=0.0):.0f} ms of {len(values)} gaps"
