from __future__ import annotations

from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


def test_ps_tells_why(ollamapy: Command, fake: FakeOllama) -> None:
    for name in ("old", "new"):
        fake.add(name)
    fake.load("old", state="stopping", reason="evicted for new, which needs memory")
    fake.load("new", state="loading", progress=0.5, reason="a request asked for it")
    fake.waiting = [{"model": "third", "seconds": 2.0, "reason": "memory is in use by old"}]
    lines = ollamapy("ps", "--why").stdout.splitlines()
    assert [line.split("    ")[0] for line in lines] == ["NAME", "old", "new", "third"]
    assert "stopping" in lines[1]
    assert "evicted for new, which needs memory" in lines[1]
    assert "loading 50%" in lines[2]
    assert "waiting 2 s" in lines[3]
    assert "memory is in use by old" in lines[3]
