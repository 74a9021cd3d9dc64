"""A whole daemon on a free port, over fake workers or real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from ollamapy.config import HostAddress, Settings
from ollamapy.runner.launch import WORKER_COMMAND, WorkerPool
from ollamapy.server.daemon import DaemonServer, bind, build_server
from ollamapy.store import Store
from tests.fakes.worker import fake_worker_command


@dataclass(frozen=True)
class Daemon:
    """A running daemon; `client` has its URL as base."""

    url: str
    port: int
    store: Store
    client: httpx.Client
    server: DaemonServer

    def lines(self, path: str, body: object) -> list[dict]:
        """Return the lines of a streamed answer."""
        return [httpx.Response(200, content=line).json() for line in self.client.post(path, json=body).iter_lines()]

    def events(self, path: str, body: object) -> list[str]:
        """Return the data of the server-sent events of an answer."""
        lines = self.client.post(path, json=body).text.split("\n\n")
        return [line.removeprefix("data: ") for line in lines if line]


# With a limit of connections to keep, httpx's pool may close one that another thread is just about to use.
UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)


@contextmanager
def running(folder: Path, command: Sequence[str] = WORKER_COMMAND, **settings: object) -> Iterator[Daemon]:
    """Run a daemon in a thread of this process until the block ends."""
    own = {"models_dir": folder / "models", "state_dir": folder / "state"}
    configured = Settings(host=HostAddress(port=0), offline=True, **own)
    configured = replace(configured, **settings)
    store = Store(configured.models_dir)
    with bind(configured) as listener:
        port = listener.getsockname()[1]
        server = build_server(configured, store, WorkerPool(command, keep_spare=False))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False, limits=UNLIMITED) as client:
                yield Daemon(url, port, store, client, server)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose models answer with their prompt."""
    with running(tmp_path_factory.mktemp("daemon"), fake_worker_command()) as started:
        yield started
