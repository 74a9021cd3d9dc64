"""What is piped into a command is read within a bound, and reading it can be interrupted."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Command

TOO_MUCH = "x" * (1 << 20) + "y"
TOLD = "Error: standard input is larger than 1048576 bytes; send less, or raise OLLAMAPY_MAX_BODY, for the daemon too\n"


@pytest.mark.parametrize(
    "words",
    [("run", "wren:latest", "sum up"), ("embed", "wren:latest"), ("create", "new", "-f", "-")],
    ids=lambda words: words[0],
)
def test_more_than_the_bound_is_refused_with_the_bound(ollamapy: Command, words: tuple[str, ...]) -> None:
    done = ollamapy(*words, stdin=TOO_MUCH, OLLAMAPY_MAX_BODY="1M")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", TOLD)


def test_what_reaches_the_bound_is_taken(ollamapy: Command) -> None:
    assert ollamapy("run", "wren:latest", stdin=TOO_MUCH[:-1], OLLAMAPY_MAX_BODY="1M").returncode == 0


def test_reading_can_be_interrupted(ollamapy: Command) -> None:
    process = subprocess.Popen(
        ollamapy.argv("embed", "wren:latest"),
        cwd=ollamapy.checkout,
        env=ollamapy.environ,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(bytes(2 << 20))  # far more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (130, b"")
        process.stdin.close()


def test_what_can_not_be_read_is_an_error(ollamapy: Command, tmp_path: Path) -> None:
    with (tmp_path / "written").open("wb") as written:
        done = subprocess.run(
            ollamapy.argv("embed", "wren:latest"),
            cwd=ollamapy.checkout,
            env=ollamapy.environ,
            stdin=written,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "Error: can't read standard input: Bad file descriptor\n")
