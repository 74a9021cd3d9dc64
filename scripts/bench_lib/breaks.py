"""Pulls that are broken on purpose: by the link, by a disk that gets full, by a kill of the daemon."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from shutil import rmtree

from bench_lib.registries import daemon
from ollamapy.client import Client
from ollamapy.errors import OllamapyError
from ollamapy.names import Digest
from ollamapy.registry import Pace
from ollamapy.store import CONFIG_TYPE, MANIFEST_TYPE, WEIGHTS_TYPE, Store

MB = 10**6
SEED = 1
SPARE_BYTES = 110 * MB  # what the disk has beyond the model: the daemon keeps 64 MiB of it free
CONFIG = b'{"model_format":"gguf","model_family":"llama"}'


class Link:
    """Serves one model of random bytes and counts what it sends. `share` is the chance of a fault.

    Every MB may be followed by a reset or by silence, and every answer may be of another range.
    """

    def __init__(self, size_bytes: int, rate: float = 0.0, share: float = 0.0) -> None:
        self.data = os.urandom(size_bytes)
        self.digest = str(Digest.of(self.data))
        self.rate, self.share = rate, share
        self.sent = 0
        self.faults = {"reset": 0, "stall": 0, "wrong range": 0}
        self.dice = random.Random(SEED)
        self.ended = threading.Event()
        self._free_at = 0.0
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._answers = 0

    def manifest(self) -> bytes:
        """Return the model's manifest."""
        config = {"mediaType": CONFIG_TYPE, "digest": str(Digest.of(CONFIG)), "size": len(CONFIG)}
        layer = {"mediaType": WEIGHTS_TYPE, "digest": self.digest, "size": len(self.data)}
        return json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer]}
        ).encode()

    def has_fault(self, kind: str) -> bool:
        """Throw the dice for a fault."""
        with self._lock:
            happens = self.dice.random() < self.share
            self.faults[kind] += happens
        return happens

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer as long as it is sent."""
        with self._lock:
            self._answers += 1
        try:
            yield
        finally:
            with self._idle:
                self._answers -= 1
                self._idle.notify_all()

    def wait_until_idle(self) -> None:
        """Wait until nothing is sent."""
        with self._idle:
            self._idle.wait_for(lambda: not self._answers)

    def pass_bytes(self, count: int) -> None:
        """Wait until the link has sent so many bytes more."""
        with self._lock:
            self.sent += count
            if not self.rate:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self.rate
            pause = self._free_at - now
        self.ended.wait(pause)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    link: Link

    def do_GET(self) -> None:
        if "/manifests/" in self.path:
            self._send(200, self.link.manifest(), {})
        elif self.path.endswith(self.link.digest):
            with self.link.answering():
                self._send_blob()
        elif "/blobs/" in self.path:
            self._send(200, CONFIG, {})
        else:
            self._send(404, b"", {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_blob(self) -> None:
        link = self.link
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if match is None:
            self._send(400, b"", {})
            return
        start, end = int(match[1]), int(match[2]) + 1
        shown = start + 1 if link.has_fault("wrong range") else start
        self.send_response(206)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {shown}-{end - 1}/{len(link.data)}")
        self.end_headers()
        for at in range(start, end, MB):
            block = link.data[at : min(at + MB, end)]
            link.pass_bytes(len(block))
            try:
                self.wfile.write(block)
            except OSError:
                self.close_connection = True
                return
            if link.has_fault("reset"):
                self.close_connection = True
                return
            if link.has_fault("stall"):
                link.ended.wait(60)
                self.close_connection = True
                return

    def log_message(self, *_words: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_request: object) -> None:
        pass  # connections that end early are what this is about


@contextmanager
def _serving(link: Link) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"link": link})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            link.ended.set()
            server.shutdown()
            thread.join()


def rough_link(folder: Path, size_bytes: int, _rounds: int) -> Iterator[str]:
    """Pull once over a link of 20 MB/s with 2 % of each fault."""
    link = Link(size_bytes, rate=20 * MB, share=0.02)
    with _serving(link) as address, daemon(folder, address) as (client, _process):
        started = time.monotonic()
        last = [step.status for step in client.pull(f"{address}/bench/model")][-1]
        wall = time.monotonic() - started
        faults = ", ".join(f"{count} × {kind}" for kind, count in link.faults.items())
        yield (
            f"{last} after {wall:.0f} s ({size_bytes / MB / 20:.0f} s is the least); {faults}; "
            f"{100 * (link.sent / size_bytes - 1):.0f} % were sent again; {_verified(folder / 'models', link)}"
        )


def full_disk(folder: Path, size_bytes: int, rounds: int) -> Iterator[str]:
    """Pull into a small disk that another file fills at a random moment; make room, pull again."""
    link, dice = Link(size_bytes, rate=100 * MB), random.Random(SEED)
    disk = folder / "disk"
    disk.mkdir()
    for number in range(rounds):
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_bytes + SPARE_BYTES}", "tmpfs", str(disk)], check=True
        )
        try:
            with _serving(link) as address, daemon(folder / "home", address, disk / "models") as (client, _process):
                moment = dice.randrange(size_bytes)
                link.sent = 0
                told = _pull_until_full(client, f"{address}/bench/model", link.digest, moment, disk / "ballast")
                kept = sum(path.stat().st_blocks * 512 for path in (disk / "models" / "uploads").glob("partial-*"))
                (disk / "ballast").unlink()
                before = link.sent
                last = [step.status for step in client.pull(f"{address}/bench/model")][-1]
                yield (
                    f"{number + 1}: full at byte {moment}: {told!r}, {kept / MB:.0f} MB kept; then {last}, "
                    f"{(link.sent - before) / MB:.0f} MB fetched, {_verified(disk / 'models', link)}"
                )
            link.ended.clear()
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _pull_until_full(client: Client, name: str, digest: str, moment: int, ballast: Path) -> str:
    """Return what the pull tells when another file has taken all space."""
    try:
        for step in client.pull(name):
            if step.digest == digest and step.completed >= moment and not ballast.exists():
                _fill(ballast)
    except OllamapyError as exc:
        return exc.message
    return "no error"


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            for size in (MB, 4096):
                while True:
                    try:
                        file.write(bytes(size))
                    except OSError:
                        break
        finally:
            os.fsync(file.fileno())


def kills(folder: Path, size_bytes: int, rounds: int) -> Iterator[str]:
    """Kill the daemon again and again in one pull; what is sent twice is at most what was in flight."""
    link, dice = Link(size_bytes, rate=100 * MB), random.Random(SEED)
    moments = sorted(dice.randrange(size_bytes // 100, size_bytes * 98 // 100) for _ in range(rounds))
    pace, digest, store = Pace(), Digest.parse(link.digest), Store(folder / "models")
    again = [0]
    with _serving(link) as address:
        name = f"{address}/bench/model"
        for moment in moments:
            with daemon(folder, address) as (client, process):
                for step in client.pull(name):
                    if step.digest == link.digest and step.completed >= moment:
                        break
                process.kill()
                process.wait()
            link.wait_until_idle()
            again.append(link.sent - store.partial_bytes(digest))
        with daemon(folder, address) as (client, _process):
            last = [step.status for step in client.pull(name)][-1]
        worst = max(after - before for before, after in pairwise(again))
        yield (
            f"{len(moments)} kills, then {last}, {_verified(folder / 'models', link)}; sent again "
            f"{(link.sent - size_bytes) / MB:.0f} MB in all, at most {worst / MB:.1f} MB after one; "
            f"in flight are {pace.streams * pace.part_bytes(size_bytes) / MB:.1f} MB"
        )
    rmtree(folder / "models")


def _verified(models: Path, link: Link) -> str:
    path = Store(models).open_blob(Digest.parse(link.digest))
    return "bytes verified" if path.read_bytes() == link.data else "BYTES DIFFER"
