"""Treats a real daemon badly for a while: many clients, few models, cancels, killed workers, unloads and deletions.

Every request has to end in an answer or in an error that names its cause; the daemon must not grow, and must leave no
process behind.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ollamapy.client import Client
from ollamapy.errors import OllamapyError, ServiceError
from ollamapy.types import CreateRequest, GenerateRequest, Options

CHECKOUT = Path(__file__).resolve().parents[2]
GROWTH_BYTES = 10 << 20
LEAST_SAMPLES = 60  # a second each: in less time growth can't be told from caches that fill
HANG_SECONDS = 120.0
PROMPTS = ("Once upon a time", "The cat", "Tell me a story about a dog", "Lily and Tom went to the park. " * 8)
VAGUE = ("internal error", "unexpected", "Traceback")  # words of errors that name no cause
CONTEXTS = (64, 128, 256, 300, 512)


@dataclass(frozen=True)
class Plan:
    """How hard to try. `kill_seconds` pass between two killed workers on average."""

    seconds: float
    clients: int
    seed: int = 1
    kill_seconds: float = 3.0


@dataclass
class Report:
    """What came of it; `failures` are what must not happen.

    `done` are deeds with the models they were done to. `rss_bytes` is the daemon's size, a sample a second from when
    all that can be done was done once: before, it grows by what it keeps for good.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    kills: int = 0
    done: set[tuple[str, str]] = field(default_factory=set)
    rss_bytes: list[int] = field(default_factory=list)

    @property
    def growth_bytes(self) -> int | None:
        """How much the daemon grew between the first fifth of the samples and the last; None if they are too few."""
        if len(self.rss_bytes) < LEAST_SAMPLES:
            return None
        part = len(self.rss_bytes) // 5
        return int(statistics.median(self.rss_bytes[-part:]) - statistics.median(self.rss_bytes[:part]))

    def lines(self) -> Iterator[str]:
        """Yield the figures."""
        yield "requests: " + ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        yield f"killed workers: {self.kills}"
        for text, count in self.errors.most_common(12):
            yield f"error, {count} times: {text}"
        if self.growth_bytes is None:
            yield f"daemon: its growth is told after {LEAST_SAMPLES} seconds more than the first ones of every kind"
        else:
            told = f"{self.rss_bytes[-1] >> 20} MiB resident, grown by {self.growth_bytes / 2**20:.1f} MiB"
            yield f"daemon: {told} in {len(self.rss_bytes)} seconds"
        yield from (f"FAILURE: {failure}" for failure in self.failures)


def soak(plan: Plan, models: Sequence[Path], folder: Path) -> Report:
    """Start a daemon of this checkout in a folder of its own, work on it, end it; returns what happened."""
    report, lock, is_over = Report(), threading.Lock(), threading.Event()
    with daemon(folder) as (process, host):
        names = prepare(host, models)
        seen: set[int] = set()
        workers = [
            threading.Thread(target=_Visitor(plan.seed * 1000 + i, host, names, report, lock).run, args=(is_over,))
            for i in range(plan.clients)
        ]
        workers.append(threading.Thread(target=kill_workers, args=(plan, process.pid, report, is_over)))
        for thread in workers:
            thread.start()
        end = time.monotonic() + plan.seconds
        while time.monotonic() < end and process.poll() is None:
            if report.kills and len(report.done) == len(DEEDS) * len(names):
                report.rss_bytes.append(resident_bytes(process.pid))
            seen |= set(children(process.pid))
            time.sleep(1.0)
        is_over.set()
        for thread in workers:
            thread.join(HANG_SECONDS)
            if thread.is_alive():
                report.failures.append("a request never ended")
        if process.poll() is not None:
            report.failures.append(f"the daemon ended with code {process.returncode}")
    left = [pid for pid in seen if is_worker(pid)]
    report.failures += [f"process {pid} is left" for pid in left]
    if report.growth_bytes is not None and report.growth_bytes > GROWTH_BYTES:
        report.failures.append(f"the daemon grew by {report.growth_bytes / 2**20:.1f} MiB")
    return report


@contextmanager
def daemon(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a daemon until the block ends; yields its process and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(CHECKOUT), "OLLAMA_HOST": host,
        "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_MAX_LOADED_MODELS": "2", "OLLAMA_KEEP_ALIVE": "20s",
        "OLLAMAPY_OFFLINE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "ollamapy", "serve"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=log, stderr=log)
        try:
            with Client(host) as client:
                while not client.is_running():
                    time.sleep(0.05)
            yield process, host
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def prepare(host: str, models: Sequence[Path]) -> list[str]:
    """Create the models, each with a copy from which it can be had again; returns their names."""
    names = []
    with Client(host, timeout_seconds=HANG_SECONDS) as client:
        for number, path in enumerate(models):
            data = path.read_bytes()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            client.upload_blob(digest, iter([data]), len(data))
            for name in (f"soak{number}", f"soak{number}-kept"):
                for _ in client.create(CreateRequest(model=name, files={path.name: digest})):
                    pass
            names.append(f"soak{number}")
    return names


class _Visitor:
    """One client: does everything once, in any order, and then something at random again and again."""

    def __init__(self, seed: int, host: str, names: Sequence[str], report: Report, lock: threading.Lock) -> None:
        self._random = random.Random(seed)
        self._host, self._names, self._report, self._lock = host, names, report, lock

    def run(self, is_over: threading.Event) -> None:
        firsts = [(deed, name) for deed in DEEDS for name in self._names]
        self._random.shuffle(firsts)
        while not is_over.is_set():
            (deed,), name = self._random.choices(list(DEEDS), list(DEEDS.values())), self._random.choice(self._names)
            with Client(self._host, timeout_seconds=HANG_SECONDS) as client:
                self._note(*(firsts.pop() if firsts else (deed, name)), client)

    def _note(self, deed: Deed, name: str, client: Client) -> None:
        error, failure = "", ""
        try:
            outcome = deed(self, client, name)
        except OllamapyError as exc:
            outcome, error = "ended in an error", f"{type(exc).__name__}: {exc.message}"
            if isinstance(exc, ServiceError) or any(word in exc.message for word in VAGUE) or not exc.message:
                failure = error
        except Exception as exc:  # noqa: BLE001 - whatever else goes wrong is what is looked for
            outcome, failure = "failed", f"{type(exc).__name__}: {exc}"
        with self._lock:
            self._report.outcomes[outcome] += 1
            if not (error or failure):
                self._report.done.add((deed.__name__, name))
            if error:
                self._report.errors[error[:160]] += 1
            if failure:
                self._report.failures.append(failure)

    def _request(self, name: str) -> GenerateRequest:
        pick = self._random
        options = Options(
            num_ctx=pick.choice(CONTEXTS), num_predict=pick.randint(1, 40), seed=pick.randint(0, 9),
            temperature=pick.choice((0.0, 0.8)), num_batch=pick.choice((None, 64, 512)),
            num_thread=pick.choice((None, None, None, None, 1)),
        )  # fmt: skip
        return GenerateRequest(name, prompt=pick.choice(PROMPTS), options=options)

    def _generate(self, client: Client, name: str) -> str:
        with closing(client.generate(self._request(name))) as records:
            last = deque(records, maxlen=1)
        if not last or not last[0].done:
            raise RuntimeError("the stream ended without an end")
        return "answered"

    def _cancel(self, client: Client, name: str) -> str:
        with closing(client.generate(self._request(name))) as records:
            for count, _ in enumerate(records):
                if count >= self._random.randint(0, 5):
                    break
        return "cancelled within the answer"

    def _leave(self, _client: Client, name: str) -> str:
        """Give up before the first byte, as while a model loads."""
        host, port = self._host.split(":")
        with socket.create_connection((host, int(port))) as connection:
            body = f'{{"model": "{name}", "prompt": "x", "options": {{"num_ctx": {self._random.choice(CONTEXTS)}}}}}'
            head = f"POST /api/generate HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall((head + body).encode())
            time.sleep(self._random.random() / 10)
        return "cancelled before the answer"

    def _unload(self, client: Client, name: str) -> str:
        client.unload(name)
        return "unloaded"

    def _delete(self, client: Client, name: str) -> str:
        """Delete a model that may be in use, and make it again."""
        try:
            client.delete(name)
        finally:
            client.copy(f"{name}-kept", name)
        return "deleted and made again"


Deed = Callable[[_Visitor, Client, str], str]
DEEDS: dict[Deed, int] = {
    _Visitor._generate: 70,
    _Visitor._cancel: 15,
    _Visitor._leave: 5,
    _Visitor._unload: 7,
    _Visitor._delete: 3,
}  # fmt: skip  how often each is done


def kill_workers(plan: Plan, daemon_pid: int, report: Report, is_over: threading.Event) -> None:
    """Kill a worker now and then, without a warning."""
    pick = random.Random(plan.seed)
    while not is_over.wait(pick.expovariate(1 / plan.kill_seconds)):
        if workers := [pid for pid in children(daemon_pid) if is_worker(pid)]:
            os.kill(pick.choice(workers), signal.SIGKILL)
            report.kills += 1


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def is_worker(pid: int) -> bool:
    """Whether a process is a worker that still runs."""
    try:
        return b"ollamapy.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def resident_bytes(pid: int) -> int:
    """Return how much memory of a process is resident."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
