"""Finds the daemon for a command, and starts one in the background where none runs."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from ollamapy.cli import render
from ollamapy.client import Client
from ollamapy.client.failures import foreign, unreachable
from ollamapy.config import HostAddress, Settings, parse_host, read_settings
from ollamapy.errors import ServiceError

READY_SECONDS = 30.0
POLL_SECONDS = 0.05
MAX_LOG_BYTES = 8 << 20
_PACKAGE_PARENT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def connect(settings: Settings | None = None) -> Iterator[Client]:
    """Yield a client of the daemon, which is started if need be; raises ServiceError if there can't be one.

    Without `settings` they are read from the environment.
    """
    settings = settings or read_settings(os.environ)
    with Client(settings.host.base_url, settings.api_key) as client:
        ensure_running(client, settings.host)
        yield client


def ensure_running(client: Client, address: HostAddress) -> None:
    """Start the daemon that the client asks where none answers; raises ServiceError if there can't be one."""
    presence = client.probe()
    if presence == "foreign":
        raise foreign(client.base_url)
    if presence == "absent":
        start(client, address, log_path())


def log_path() -> Path:
    """Return the file that a daemon in the background logs to."""
    return platformdirs.user_log_path("ollamapy", appauthor=False) / "serve.log"


def start(client: Client, address: HostAddress, log: Path) -> None:
    """Start a daemon that outlives this process and wait until it answers; raises ServiceError."""
    if not can_start(address):
        raise unreachable(client.base_url)
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _start_lock(log.with_suffix(".lock")):
            if not client.is_running():
                _launch(client, log)
    except OSError as exc:
        raise ServiceError(f"the daemon could not be started: {exc.strerror} ({exc.filename})") from exc


def _launch(client: Client, log: Path) -> None:
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as sink:
        begin = sink.tell()
        process = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            serve_command(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=_PACKAGE_PARENT,
            start_new_session=True,
        )
    if not _wait_until_ready(client, process):
        raise ServiceError(f"the daemon could not be started: {last_words(log, begin)} (its log is {log})")
    render.note(f"Started the ollamapy daemon (process {process.pid}) at {client.base_url}")


def can_start(address: HostAddress) -> bool:
    """Whether an address is one that a daemon of this machine would serve."""
    target = parse_host(address.base_url)
    return target.is_loopback and target.scheme == "http" and not target.path and target.port != 0


def serve_command() -> list[str]:
    """Return the command that runs a daemon; `-P` keeps what lies beside the package from being imported by chance.

    A checkout that is not installed is found in no other way.
    """
    is_checkout = Path.cwd() == _PACKAGE_PARENT
    return [sys.executable, *([] if is_checkout else ["-P"]), "-m", "ollamapy", "serve"]


def last_words(log: Path, begin: int) -> str:
    """Return the last line that was written to the log behind `begin`."""
    with log.open("rb") as source:
        source.seek(max(begin, log.stat().st_size - 4096))
        lines = source.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else "it said nothing"


@contextmanager
def _start_lock(path: Path) -> Iterator[None]:
    """Let one command at a time start a daemon; the others wait and find it running."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _wait_until_ready(client: Client, process: subprocess.Popen[bytes]) -> bool:
    """Wait until someone answers; a daemon that ended may have lost the port to one that was started otherwise."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if client.is_running():
            return True
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return client.is_running()
    process.terminate()
    return False
