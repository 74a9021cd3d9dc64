"""Finding the daemon, and deciding whether one can be started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ollamapy.cli.daemon import can_start, last_words, serve_command
from ollamapy.config import parse_host
from tests.cli.conftest import Command
from tests.fakes.ollama_api import other_app, serving


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True), ("localhost:80", True), (":11500", True), ("0.0.0.0", True), ("[::1]", True),
        ("192.0.2.1", False), ("models.example", False), ("https://127.0.0.1", False),
        ("http://127.0.0.1:80/path", False), ("127.0.0.1:0", False),
    ],
)  # fmt: skip
def test_a_daemon_is_started_only_for_an_address_of_this_machine(host: str, is_ours: bool) -> None:
    assert can_start(parse_host(host)) is is_ours


def test_another_program_at_the_address_is_named(ollamapy: Command) -> None:
    with serving(other_app()) as url:
        done = ollamapy("list", OLLAMA_HOST=url)
    assert done.returncode == 8
    assert done.stderr.startswith(f"Error: something listens at {url} but does not speak Ollama's API;")
    assert "OLLAMA_HOST" in done.stderr


def test_a_program_that_takes_connections_and_never_answers_is_given_up_and_named(ollamapy: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = ollamapy("list", OLLAMA_HOST=url)
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr.startswith(f"Error: something listens at {url} but does not speak Ollama's API;")


def test_a_daemon_elsewhere_that_does_not_answer_is_an_error(ollamapy: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/behind/a/proxy"
    done = ollamapy("list", OLLAMA_HOST=url)
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr == f"Error: could not connect to {url}; is `ollamapy serve` running there?\n"


def test_the_last_words_of_a_log_are_those_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    log.write_text("Error: an older one\n")
    begin = log.stat().st_size
    assert last_words(log, begin) == "it said nothing"
    with log.open("a") as sink:
        sink.write("hello\nError: the port is taken\n\n")
    assert last_words(log, begin) == "the port is taken"


def test_a_daemon_imports_nothing_from_the_folder_that_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert serve_command()[1:] == ["-P", "-m", "ollamapy", "serve"]
