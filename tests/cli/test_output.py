"""Output that can't be written, and streams that are not there, are told in one line or do no harm."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

FULL = "Error: the output can't be written: No space left on device\n"
CLOSED = "Error: the output can't be written: Bad file descriptor\n"
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def redirected(ollamapy: Command, line: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a redirection of the shell; what is left open is captured."""
    command = f"{shlex.join(ollamapy.argv(*words))} {line}"
    return subprocess.run(
        ["sh", "-c", command], env=ollamapy.environ, cwd=ollamapy.checkout, capture_output=True, text=True, timeout=60
    )


@needs_full
@pytest.mark.parametrize(
    "words",
    [("list",), ("run", "wren:latest", "hi"), ("embed", "glove:latest", "hi"), ("help",), ("help", "run")],
    ids=str,
)
def test_a_full_disk_is_told_in_a_line(ollamapy: Command, fake: FakeOllama, words: tuple[str, ...]) -> None:
    fake.add("glove:latest", capabilities=["embedding"])
    done = redirected(ollamapy, "</dev/null >/dev/full", *words)
    assert (done.returncode, done.stderr) == (141, FULL)


@pytest.mark.parametrize("words", [("list",), ("run", "wren:latest", "hi"), ("help", "run")], ids=str)
def test_a_closed_output_is_told_in_a_line(ollamapy: Command, words: tuple[str, ...]) -> None:
    done = redirected(ollamapy, "</dev/null >&-", *words)
    assert (done.returncode, done.stderr) == (141, CLOSED)


def test_a_closed_input_is_an_empty_one(ollamapy: Command) -> None:
    done = redirected(ollamapy, "<&-", "run", "wren:latest", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi \n", "")


def test_what_is_told_beside_the_result_may_be_closed_off(ollamapy: Command) -> None:
    done = redirected(ollamapy, "</dev/null 2>&-", "run", "wren:latest", "hi", "--verbose")
    assert (done.returncode, done.stdout) == (0, "hi \n")
    assert redirected(ollamapy, "<&- >&- 2>&-", "list").returncode == 141


@needs_full
def test_errors_that_can_not_be_told_keep_their_code(ollamapy: Command) -> None:
    assert redirected(ollamapy, "2>/dev/full", "list", "--nope").returncode == 2
