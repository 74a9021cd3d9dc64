"""Fixtures: the command as a real process, against a server of Ollama's API in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.screen import Screen
from tests.fakes.ollama_api import FakeOllama, serving


class Command:
    """Runs `ollamapy` in an environment of its own; `host` is the server that it asks."""

    def __init__(self, checkout: Path, home: Path, host: str) -> None:
        self.checkout = checkout
        self.home = home
        self.processes: list[subprocess.Popen[str]] = []
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TERM": "xterm",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "error",
            "OLLAMA_HOST": host,
            "OLLAMAPY_OFFLINE": "1",
        }

    def argv(self, *words: str) -> list[str]:
        """The words of the process."""
        return [sys.executable, "-m", "ollamapy", *words]

    def __call__(self, *words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; without `stdin` nothing is piped in."""
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            self.argv(*words),
            capture_output=True,
            text=True,
            cwd=self.checkout,
            env={**self.environ, **environ},
            timeout=120,
            **given,
        )

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start the command with pipes; `end` kills it if it still runs."""
        process = subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.checkout,
            env={**self.environ, **environ},
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.processes:
            process.kill()
            with process:  # closes the pipes and waits
                pass

    def on_screen(self, *words: str, columns: int = 100, lines: int = 50, **environ: str) -> Screen:
        """Start the command on a terminal whose screen is emulated."""
        return Screen(self.argv(*words), self.checkout, {**self.environ, **environ}, columns, lines)


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    """A running server with two models."""
    fake = FakeOllama()
    fake.add("wren:latest")
    fake.add("thinker:latest", capabilities=["completion", "thinking"])
    with serving(fake.app()) as fake.base_url:
        yield fake


@pytest.fixture
def ollamapy(fake: FakeOllama, checkout: Path, tmp_path: Path) -> Iterator[Command]:
    """The command, set up to ask the fake server."""
    home = tmp_path / "home"
    home.mkdir()
    command = Command(checkout, home, fake.base_url)
    yield command
    command.end()
