"""The command with the real daemon, its real workers, and the model that comes with it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.client import Client
from tests.cli.conftest import Command

STARTED = re.compile(r"Started the ollamapy daemon \(process (\d+)\) at (\S+)\n")
QUESTION = "What is the capital of France?"
LOG = Path(".local/state/ollamapy/log/serve.log")

pytestmark = pytest.mark.model


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Machine:
    """A home without a daemon; every daemon that a command starts there is ended with the test."""

    def __init__(self, checkout: Path, home: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.command = Command(checkout, home, self.url)
        # A daemon in the background is meant to outlive the process that started it.
        self.command.environ["PYTHONWARNINGS"] = "error,ignore::ResourceWarning"
        self.started: list[int] = []

    def __call__(self, *words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        done = self.command(*words, stdin=stdin, **environ)
        self.started += [int(pid) for pid, _ in STARTED.findall(done.stderr)]
        return done

    @property
    def log(self) -> str:
        return (self.command.home / LOG).read_text()

    def end(self) -> None:
        self.command.end()
        for pid in self.started:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def machine(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that the tests of this module share, with a daemon that its first command has started."""
    machine = Machine(checkout, tmp_path_factory.mktemp("home"))
    done = machine("list")
    assert (done.returncode, STARTED.fullmatch(done.stderr) is not None) == (0, True), done.stderr
    yield machine
    machine.end()


@pytest.fixture
def fresh(checkout: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine without a daemon."""
    machine = Machine(checkout, tmp_path)
    yield machine
    machine.end()


def test_only_the_first_command_starts_a_daemon(machine: Machine) -> None:
    done = machine("ps")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Listening on {machine.url}" in machine.log


def test_the_bundled_model_answers_without_any_set_up(machine: Machine) -> None:
    done = machine("run", "wren", QUESTION)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("...done thinking.\n\nThe capital of France is Paris.\n")
    listed = machine("list").stdout.splitlines()[1]
    assert re.fullmatch(r"wren:latest +[0-9a-f]{12} +7\.5 MB +.* ago", listed)


def test_a_model_is_in_memory_until_it_is_stopped(machine: Machine) -> None:
    assert machine("run", "wren", "", "--keepalive", "-1").returncode == 0
    assert re.search(r"^wren:latest .* 100% CPU +\d+ +Forever$", machine("ps").stdout, re.MULTILINE)
    assert machine("stop", "wren").returncode == 0
    assert len(machine("ps").stdout.splitlines()) == 1


def test_a_modelfile_becomes_a_model_and_comes_back(machine: Machine, checkout: Path, tmp_path: Path) -> None:
    text = f"FROM {checkout}/modelfiles/wren/wren-q8_0.gguf\nSYSTEM Be brief.\nPARAMETER temperature 0.5\n"
    (tmp_path / "Modelfile").write_text(text)
    done = machine("create", "mine", "-f", str(tmp_path / "Modelfile"))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "success")
    assert machine("show", "mine", "--system").stdout == "Be brief.\n"
    shown = machine("show", "mine", "--modelfile").stdout
    assert "SYSTEM Be brief.\n" in shown
    (tmp_path / "again").write_text(re.sub(r"^FROM .*$", "FROM mine", shown, count=1, flags=re.MULTILINE))
    assert machine("create", "again", "-f", str(tmp_path / "again")).returncode == 0
    assert machine("cp", "again", "third").stdout == "copied 'again' to 'third'\n"
    assert machine("rm", "again", "third", "mine").returncode == 0
    assert "mine" not in machine("list").stdout


def test_a_damaged_model_is_listed_and_removed(machine: Machine, shared_models: Path, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text(f"FROM {shared_models}/gguf/stories260K-f32.gguf\n")
    assert machine("create", "story", "-f", str(tmp_path / "Modelfile")).returncode == 0
    source = machine("show", "story", "--modelfile").stdout
    found = re.search(r"^FROM (/.*)$", source, re.MULTILINE)
    assert found is not None
    Path(found[1]).write_bytes(b"GGUF")
    assert "story:latest" in machine("list").stdout
    assert machine("rm", "story").stdout == "deleted 'story'\n"
    assert "story:latest" not in machine("list").stdout


def test_an_embedding_model_prints_vectors(machine: Machine, shared_models: Path, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text(f"FROM {shared_models}/gguf/glove25-bert-f16.gguf\n")
    assert machine("create", "glove", "-f", str(tmp_path / "Modelfile")).returncode == 0
    one, other = (json.loads(line) for line in machine("embed", "glove", "a cat", "a dog").stdout.splitlines())
    assert (len(one), len(other)) == (64, 64)
    assert json.loads(machine("run", "glove", "a", "cat").stdout) == pytest.approx(one, abs=1e-6)
    done = machine("embed", "wren", "a cat")
    assert (done.returncode, "does not support embeddings" in done.stderr) == (2, True)


def test_files_that_are_no_model_are_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(40))
    (tmp_path / "Modelfile").write_text("FROM ./bad.gguf")
    done = machine("create", "bad", "-f", str(tmp_path / "Modelfile"))
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr + machine.log
    assert "bad" not in machine("list").stdout


def test_an_unknown_model_is_told(machine: Machine) -> None:
    done = machine("run", "nope", "hi")
    assert (done.returncode, done.stdout) == (3, "")
    assert "model 'nope" in done.stderr
    assert "not found" in done.stderr


def test_a_conversation_on_a_terminal(machine: Machine) -> None:
    with machine.command.on_screen("run", "wren") as screen:
        screen.enter(QUESTION)
        screen.wait_for("...done thinking.\n\nThe capital of France is Paris.\n")
        screen.wait_for(" wren · ")
        assert re.search(r" wren · \d+\.\d tokens/s · context \d+ of \d+ \(\d+%\) · \d+ cached", screen.lines[-1])
        screen.wait_for_prompt()
        screen.type("\x04")
        assert screen.wait_for_end() == 0


def test_a_conversation_outlives_its_daemon(fresh: Machine) -> None:
    assert fresh("list").returncode == 0
    with fresh.command.on_screen("run", "wren", "--think=false") as screen:
        screen.wait_for_prompt()
        os.kill(fresh.started.pop(), signal.SIGKILL)
        screen.enter(QUESTION)
        screen.wait_for(") at http")
        fresh.started.append(int(screen.text.rpartition("(process ")[2].partition(")")[0]))
        screen.wait_for("Paris")
        screen.wait_for_prompt()
        screen.type("\x04")
        assert screen.wait_for_end() == 0


def test_a_port_in_use_is_told(machine: Machine, tmp_path: Path) -> None:
    done = machine("serve", OLLAMA_MODELS=str(tmp_path))
    assert done.returncode == 8
    assert "is in use" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_daemon_that_cannot_start_is_told_with_its_reason_and_log(fresh: Machine) -> None:
    done = fresh("list", OLLAMA_MODELS="/dev/null/models")
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr.startswith("Error: the daemon could not be started: ")
    assert str(fresh.command.home / LOG) in done.stderr
    assert "Traceback" not in done.stderr


def test_two_first_commands_at_once_share_one_daemon(fresh: Machine) -> None:
    both = [fresh.command.start("list") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        fresh.started += [int(pid) for pid, _ in STARTED.findall(err)]
        assert (process.returncode, out.splitlines()[0].split()[0]) == (0, "NAME"), err
    assert len(fresh.started) == 1


def test_a_daemon_in_the_foreground_ends_on_sigterm(fresh: Machine) -> None:
    process = fresh.command.start("serve")
    assert process.stderr is not None
    for line in process.stderr:
        if "Listening on" in line:
            break
    with Client(fresh.url) as client:
        assert client.version().name == "ollamapy"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_killed_daemon_ends_the_answer_with_an_error_and_the_next_run_works(fresh: Machine) -> None:
    assert fresh("run", "wren", "").returncode == 0
    process = fresh.command.start("run", "wren", QUESTION, "--think=false")
    assert process.stdout is not None
    os.kill(fresh.started.pop(), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    fresh.started += [int(pid) for pid, _ in STARTED.findall(err)]
    assert process.returncode in (0, 8)  # it may have come before or after the kill
    done = fresh("run", "wren", QUESTION)
    assert done.returncode == 0
    assert "Paris" in done.stdout


def test_the_speed_of_a_model_is_measured_through_the_api(machine: Machine) -> None:
    done = machine("bench", "wren", "--clients", "2", "--rounds", "1", "--tokens", "8", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["processor"] in ("100% CPU", "100% GPU")
    assert 0 < told["alone"]["first_token_seconds"] <= told["alone"]["longest_first_token_seconds"]
    assert told["together"]["total_tokens_per_second"] > 0
    assert told["together"]["answer_tokens"] == 16
