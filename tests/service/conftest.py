"""A real systemd of one user, in namespaces of its own: it ends with the script that is run under it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail

SYSTEMD = Path("/lib/systemd/systemd")
# The manager knows plain targets and our units alone: nothing else of the machine is started, or cleaned up, by it.
PRELUDE = """
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" "$HOME/targets" "$HOME/.config/systemd/user"
chmod 700 "$XDG_RUNTIME_DIR"
cp /usr/lib/systemd/user/basic.target /usr/lib/systemd/user/default.target /usr/lib/systemd/user/sockets.target \
    /usr/lib/systemd/user/shutdown.target /usr/lib/systemd/user/exit.target "$HOME/targets"
export SYSTEMD_UNIT_PATH="$HOME/.config/systemd/user:$HOME/targets"
/lib/systemd/systemd --user --log-target=console >"$HOME/systemd.log" 2>&1 &
manager=$!
until [ -S "$XDG_RUNTIME_DIR/systemd/private" ]; do kill -0 $manager; done
systemctl --user set-environment PYTHONPATH="$PYTHONPATH" PYTHONDONTWRITEBYTECODE=1
state() { systemctl --user show ollamapy.service --property ActiveState --value; }
process() { systemctl --user show ollamapy.service --property MainPID --value; }
restarted() { new=$(process); [ "$new" -ne 0 ] && [ "$new" -ne "$1" ]; }
ask() { curl --silent --show-error --max-time 60 "http://$OLLAMA_HOST$1"; }
"""

UserSystemd = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def systemd_of_a_user(checkout: Path, tmp_path: Path, free_port: int) -> UserSystemd:
    """Returns a function that runs a script beside a systemd; `$ollamapy` is the program there."""
    if not SYSTEMD.exists() or shutil.which("unshare") is None or os.getuid():
        skip_or_fail("a systemd of its own takes root, systemd and unshare")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": "/run/user/0",
        "OLLAMA_HOST": f"127.0.0.1:{free_port}",
        "OLLAMA_MODELS": str(tmp_path / "models"),
        "PYTHONPATH": str(checkout),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ollamapy": f"{sys.executable} -P -m ollamapy",
    }

    def run(script: str) -> subprocess.CompletedProcess[str]:
        words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", PRELUDE + script]
        return subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    return run
