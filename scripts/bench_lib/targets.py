"""The servers that are compared: how each is started, given the model, and asked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol

from bench_lib.load import Request
from bench_lib.processes import ServerError, cpu_seconds, free_port, peak_rss, running, wait_ready
from bench_lib.scenarios import Prompt

MODEL_NAME = "bench"
# One chain everywhere: top_k, top_p, temperature, and nothing else.
TEMPERATURE, TOP_K, TOP_P = 0.8, 40, 0.9


@dataclass(frozen=True, slots=True)
class Setup:
    """What every server is given: model file, a folder to work in, tokens per request, requests at once, threads."""

    model: Path
    folder: Path
    context_tokens: int
    slots: int
    threads: int


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers on `port` of the loopback address."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def peak_rss(self) -> int:
        """Return the highest resident size of all its processes so far, in bytes."""
        return peak_rss(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes so far."""
        return cpu_seconds(self.process.pid)


class Target(Protocol):
    """A server under test."""

    name: str
    how: str

    def start(self, setup: Setup) -> Any:  # noqa: D102  a context manager of Running
        ...

    def request(self, prompt: Prompt, seed: int) -> Request:  # noqa: D102
        ...


@dataclass(frozen=True, slots=True)
class NativeTarget:
    """A daemon with Ollama's API: ollamapy, or Ollama itself. The store is kept within the folder of the setup."""

    name: str
    command: tuple[str, ...]
    how: str

    def environment(self, setup: Setup, port: int) -> dict[str, str]:
        """Return what the daemon and its client commands need to know."""
        return {
            "OLLAMA_HOST": f"127.0.0.1:{port}",
            "OLLAMA_MODELS": str(setup.folder / f"{self.name}-store"),
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_NUM_PARALLEL": str(setup.slots),
            "OLLAMA_MAX_QUEUE": "4096",
            "OLLAMA_CONTEXT_LENGTH": str(setup.context_tokens),
            "OLLAMAPY_STATE_SIZE": "0",
        }

    @contextmanager
    def daemon(self, setup: Setup) -> Iterator[Running]:
        """Run the daemon without a model in memory; its store may be empty."""
        port, log = free_port(), setup.folder / f"{self.name}.log"
        with running([*self.command, "serve"], self.environment(setup, port), log) as process:
            wait_ready(process, port, "/api/version", log)
            yield Running(process, port, log)

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Running]:
        """Run the daemon with the model created from its file, through the API."""
        with self.daemon(setup) as server:
            self.create_model(server, setup)
            yield server

    def create_model(self, server: Running, setup: Setup) -> None:
        """Upload the file and create the model; a no-op for a store that has both."""
        digest = f"sha256:{file_sha256(setup.model)}"
        status, _ = send(server.port, "HEAD", f"/api/blobs/{digest}")
        if status != 200:
            with setup.model.open("rb") as file:
                expect(send(server.port, "POST", f"/api/blobs/{digest}", file), (200, 201), server.log)
        body = {
            "model": MODEL_NAME,
            "files": {setup.model.name: digest},
            "parameters": {"num_ctx": setup.context_tokens, "num_thread": setup.threads},
            "stream": False,
        }
        expect(send(server.port, "POST", "/api/create", json.dumps(body).encode()), (200,), server.log)

    def stored(self, setup: Setup) -> Path:
        """Return the store's copy of the model file; it is there once the daemon was started with its model."""
        return setup.folder / f"{self.name}-store" / "blobs" / f"sha256-{file_sha256(setup.model)}"

    def request(self, prompt: Prompt, seed: int) -> Request:
        """Return a streamed raw /api/generate."""
        options = {
            "num_predict": prompt.num_predict,
            "temperature": TEMPERATURE,
            "top_k": TOP_K,
            "top_p": TOP_P,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "seed": seed,
        }
        body = {"model": MODEL_NAME, "prompt": prompt.text, "raw": True, "stream": True, "options": options}
        if prompt.schema:
            body["format"] = prompt.schema
        return Request("/api/generate", json.dumps(body), prompt.delay_seconds)


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """llama.cpp's llama-server. Its context is per slot unless `extra` asks for --kv-unified."""

    program: Path
    extra: tuple[str, ...] = ()
    name: str = "llama-server"

    @property
    def how(self) -> str:
        """Say how it is run."""
        return f"llama-server {' '.join(['-np SLOTS -c SLOTS x CONTEXT -t THREADS', *self.extra])}"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Running]:
        """Run the server until its model is loaded."""
        port, log = free_port(), setup.folder / f"{self.name}.log"
        command = [
            *(str(self.program), "-m", str(setup.model), "--host", "127.0.0.1", "--port", str(port)),
            *("-np", str(setup.slots), "-c", str(setup.slots * setup.context_tokens)),
            *("-t", str(setup.threads), "-tb", str(setup.threads), *self.extra),
        ]
        with running(command, {}, log) as process:
            wait_ready(process, port, "/health", log)
            yield Running(process, port, log)

    def request(self, prompt: Prompt, seed: int) -> Request:
        """Return a streamed /completion."""
        body = {
            "prompt": prompt.text,
            "n_predict": prompt.num_predict,
            "stream": True,
            "cache_prompt": True,
            "samplers": ["top_k", "top_p", "temperature"],
            "temperature": TEMPERATURE,
            "top_k": TOP_K,
            "top_p": TOP_P,
            "seed": seed,
        }
        if prompt.schema:
            body["json_schema"] = prompt.schema
        return Request("/completion", json.dumps(body), prompt.delay_seconds)


def batched_bench(program: Path, setup: Setup, clients: int, prompt_tokens: int, num_predict: int) -> float:
    """Return llama-batched-bench's tokens a second while `clients` sequences decode together."""
    cells = clients * (prompt_tokens + num_predict)
    command = [
        *(str(program), "-m", str(setup.model), "-c", str(-(-cells // 256) * 256), "-npp", str(prompt_tokens)),
        *("-ntg", str(num_predict), "-npl", str(clients), "-t", str(setup.threads), "-tb", str(setup.threads)),
        *("--output-format", "jsonl"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    rate: float = rows[-1]["speed_tg"]
    return rate


def first_token_seconds(target: NativeTarget | LlamaServer, setup: Setup) -> tuple[float, float]:
    """Start a server, ask for one token, stop it; return the seconds until it was up and until the token came."""
    began = time.perf_counter()
    manager = target.daemon(setup) if isinstance(target, NativeTarget) else target.start(setup)
    with manager as server:
        up = time.perf_counter() - began
        request = target.request(Prompt("one two three", 1), 1)
        expect(send(server.port, "POST", request.path, request.body.encode()), (200,), server.log)
        return up, time.perf_counter() - began


def send(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request to a local server; return status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Content-Type": "application/json"} if isinstance(body, bytes) else {}
    if hasattr(body, "fileno"):
        headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def expect(answer: tuple[int, bytes], statuses: tuple[int, ...], log: Path) -> None:
    """Raise ServerError unless the status is one of those."""
    status, body = answer
    if status not in statuses:
        raise ServerError(f"status {status}: {body[:500].decode(errors='replace')} (log: {log})")


@cache
def file_sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
