"""Starts and stops the servers, and reads what a process tree uses from /proc (Linux; zeros elsewhere)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

POLL_SECONDS = 0.005
CHECKOUT = Path(__file__).resolve().parents[2]  # servers start there, so that `-m ollamapy` is this tree's


class ServerError(Exception):
    """A server did not come up or died; carries the end of its log."""


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the duration of a block; it is asked to end, and killed after 10 seconds."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path, limit_seconds: float = 120) -> None:
    """Wait until a GET of `path` answers 200; raises ServerError if the process ends or the time is over."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _answers(port, path):
            return
        time.sleep(POLL_SECONDS)
    raise ServerError(f"the server did not get ready; the end of its log:\n{log_tail(log)}")


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def log_tail(log: Path, size: int = 2000) -> str:
    """Return the end of a log file."""
    return log.read_bytes()[-size:].decode(errors="replace") if log.is_file() else ""


def process_tree(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    found = [pid]
    for parent in found:
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in listing.read_text().split())
            except OSError:  # ended between the listing and the reading
                continue
    return found


def peak_rss(pid: int) -> int:
    """Return the sum of the highest resident sizes of a process tree, in bytes."""
    return sum(_status_bytes(one, "VmHWM:") for one in process_tree(pid))


def current_rss(pid: int) -> int:
    """Return the resident size of one process, in bytes."""
    return _status_bytes(pid, "VmRSS:")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process tree has used so far."""
    return sum(map(process_seconds, process_tree(pid)))


def process_seconds(pid: int) -> float:
    """Return the processor time that one process has used so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Return the processor time that all programs of the machine together have used since it started."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft_irq = (int(field) for field in fields[1:8])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


def _status_bytes(pid: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
