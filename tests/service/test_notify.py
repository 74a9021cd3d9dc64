"""What the daemon and its supervisor say to each other, on real sockets."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ollamapy.service.notify import inherited_sockets, notify
from tests.conftest import skip_or_fail

CHILD = """
import os, sys
from ollamapy.errors import ServiceError
from ollamapy.service import inherited_sockets
os.dup2(int(sys.argv[1]), 3)
try:
    inherited_sockets(os.getpid(), 1)
except ServiceError as exc:
    print(exc.message)
"""


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_lines_reach_the_supervisor(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "n.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path if kind == "path" else f"\0{path}")
        notify(path if kind == "path" else f"@{path}", "READY=1", "STATUS=Serving")
        assert supervisor.recv(100) == b"READY=1\nSTATUS=Serving"


def test_a_supervisor_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    notify(str(tmp_path / "gone.sock"), "READY=1")
    notify("", "READY=1")


def test_sockets_of_another_process_are_left_alone() -> None:
    assert inherited_sockets(os.getpid() + 1, 5) == []
    assert inherited_sockets(os.getpid(), 0) == []


def said_of(number: int) -> str:
    """What a process says that is given this file as its first socket."""
    words = [sys.executable, "-c", CHILD, str(number)]
    return subprocess.run(words, pass_fds=[number], capture_output=True, text=True, check=True).stdout


def test_a_file_that_can_not_be_served_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        assert "does not listen; use ListenStream=" in said_of(idle.fileno())
    with (tmp_path / "file").open("wb") as file:
        assert "is no socket" in said_of(file.fileno())


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_daemon_takes_the_sockets_that_it_is_given(
    tmp_path: Path, checkout: Path, free_port: int, address: str
) -> None:
    if shutil.which("systemd-socket-activate") is None:
        skip_or_fail("systemd-socket-activate is not installed")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OLLAMA_MODELS": str(tmp_path / "models"),
        "PYTHONPATH": str(checkout),
    }
    words = ["systemd-socket-activate", f"--listen={address}:{free_port}", *(f"--setenv={name}" for name in environ)]
    words += [sys.executable, "-m", "ollamapy", "serve"]
    with subprocess.Popen(words, env=environ, cwd=checkout, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "Listening" in process.stderr.readline()
        if address == "127.0.0.1":
            url = f"http://{address}:{free_port}/api/version"
            assert httpx.get(url, timeout=60, trust_env=False).status_code == 200
            process.send_signal(signal.SIGTERM)
        else:  # an open address without a key is refused however it was opened
            with socket.create_connection(("127.0.0.1", free_port)):
                assert "OLLAMAPY_API_KEYS" in process.stderr.read()
        process.wait(60)
