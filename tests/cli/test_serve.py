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

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "ollamapy.server.app":
            ids = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
            print(*[Path(f"/proc/{pid}/cmdline").read_text() for pid in ids], flush=True)

sys.meta_path.insert(0, Watch())
command()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_first_worker_imports_its_part_beside_the_server(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OLLAMA_HOST": "0.0.0.0:0"}
    done = subprocess.run((sys.executable, "-c", WATCH), env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\0")[-2:] == ["ollamapy.worker", "\n"]
    assert "OLLAMAPY_API_KEYS" in done.stderr  # what is refused is told all the same, and nothing goes on running
