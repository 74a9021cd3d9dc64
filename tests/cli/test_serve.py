import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Tells which processes the command has started when it comes to import the server.
WATCH = """
import sys
from pathlib import Path
from ollamapy.cli.serve import command

def link_of(file):
    try:
        return file.readlink()
    except FileNotFoundError:  # the process that is looked at closes files meanwhile
        return None

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "ollamapy.server.daemon":
            ids = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
            files = {link_of(file) for pid in ids for file in Path(f"/proc/{pid}/fd").iterdir()}
            print(*[Path(f"/proc/{pid}/cmdline").read_text() for pid in ids], flush=True)
            print("has" if Path("/proc/self/fd/3").readlink() in files else "has not", "the first socket", flush=True)

sys.meta_path.insert(0, Watch())
command()
"""
PASS_ON = """
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 100)
listener.close()
os.dup2(100, 3)
os.close(100)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def run(code: str, folder: Path, host: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), "OLLAMA_HOST": host}
    env |= {"OLLAMA_MODELS": str(folder / "models")}
    return subprocess.run((sys.executable, "-c", code), env=env, capture_output=True, text=True, timeout=60)


def test_the_first_worker_imports_its_part_beside_the_server(tmp_path: Path) -> None:
    done = run(WATCH, tmp_path, "0.0.0.0:0")
    assert done.stdout.splitlines()[0].split("\0")[-2:] == ["ollamapy.worker", ""]
    assert "OLLAMAPY_API_KEYS" in done.stderr  # what is refused is told all the same, and nothing goes on running


def test_a_worker_has_no_socket_that_the_supervisor_passed_on(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder, so that it ends")
    assert "has not the first socket" in run(PASS_ON + WATCH, tmp_path, "127.0.0.1:0").stdout
