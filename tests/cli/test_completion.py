"""Completion in the shells that people use: what Tab puts on the screen of a real one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.screen import Screen
from tests.conftest import skip_or_fail
from tests.fakes.ollama_api import FakeOllama

SHELLS = ("bash", "zsh", "fish")
START = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "-i"),
}
LOAD = {
    "bash": "PS1='% '; source <(ollamapy completion bash)",
    "zsh": "PS1='% '; autoload -U compinit; compinit -u -D; source <(ollamapy completion zsh)",
    "fish": "function fish_prompt; echo '% '; end; ollamapy completion fish | source",
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, ollamapy: Command, fake: FakeOllama, tmp_path: Path) -> Iterator[Screen]:
    """A shell that has loaded its completion and waits for a command."""
    program = shutil.which(request.param)
    if program is None:
        skip_or_fail(f"{request.param} is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "ollamapy"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ollamapy.checkout}" exec "{sys.executable}" -m ollamapy "$@"\n')
    command.chmod(0o755)
    fake.add("gemma3:1b")
    (tmp_path / "Modelfile.mine").write_text("FROM wren")
    environ = {**ollamapy.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    with Screen([program, *START[request.param]], tmp_path, environ, columns=120) as screen:
        screen.type(LOAD[request.param] + "; clear; echo lo''aded\n")
        screen.wait_until(lambda: "loaded" in screen.lines, "the shell")
        yield screen


def test_tab_completes_commands_models_options_and_files(shell: Screen) -> None:
    for typed, completed in (
        ("ollamapy upd\t", "ollamapy update "),
        ("--al\t", "ollamapy update --all "),
        ("\x15ollamapy run gem\t", "ollamapy run gemma3:1b "),
        ("--hidet\t", "ollamapy run gemma3:1b --hidethinking "),
        ("\x15ollamapy show gemma3:\t", "ollamapy show gemma3:1b "),
        ("\x15ollamapy run --think=hi\t", "ollamapy run --think=high "),
        ("\x15ollamapy create x -f Mod\t", "ollamapy create x -f Modelfile.mine "),
        ("\x15ollamapy config che\t", "ollamapy config check "),
    ):
        shell.type(typed)
        shell.wait_for(completed.rstrip())
        assert "Error" not in shell.text


def test_what_fits_is_listed(shell: Screen) -> None:
    shell.type("ollamapy p\t\t")
    for name in ("pull", "push", "ps", "prune"):
        shell.wait_for(name)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pu"], ["pull\tFetch a model from a registry", "push\tSend a model to a registry"]),
        (["help", "emb"], ["embed\tTurn texts into vectors"]),
        (["cp", "wren:latest", "th"], ["thinker:latest"]),
        (["cp", "a", "b", ""], []),
        (["rm", "wren:latest", "th"], ["thinker:latest"]),
        (["run", "-o", "temperature=0", "W"], ["wren:latest", "wren-embed"]),
        (["run", "--keepalive", ""], []),
        (["run", "--think", "wr"], ["wren:latest", "wren-embed"]),
        (["create", "x", "-f", ""], [":files"]),
        (["ls", "--js"], ["--json\tprint JSON as /api/tags answers it"]),
        (["stop", ""], []),
        (["completion", "z"], ["zsh"]),
        (["nothing", ""], []),
        (["run", "--", "--"], []),
    ],
    ids=str,
)
def test_the_last_word_is_completed_as_what_it_stands_for(
    ollamapy: Command, words: list[str], offered: list[str]
) -> None:
    done = ollamapy("__complete", *words)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, offered, "")


def test_without_a_daemon_the_names_come_from_the_store_and_none_is_started(ollamapy: Command, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "manifests" / "registry.ollama.ai" / "library" / "stored"
    folder.mkdir(parents=True)
    digest = "sha256:" + "a" * 64
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 1}
    (folder / "latest").write_text(
        '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        f'"config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{digest}","size":1}},'
        f'"layers":[{{"mediaType":"{layer["mediaType"]}","digest":"{digest}","size":1}}]}}'
    )
    nowhere = {"OLLAMA_HOST": "127.0.0.1:1", "OLLAMA_MODELS": str(tmp_path / "models")}
    done = ollamapy("__complete", "run", "st", **nowhere)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stored:latest\n", "")
    assert ollamapy("__complete", "run", "wre", **nowhere).stdout == "wren\nwren-embed\n"
    assert ollamapy("__complete", "rm", "wre", **nowhere).stdout == ""


def test_a_bad_setting_does_not_disturb_the_line(ollamapy: Command) -> None:
    done = ollamapy("__complete", "run", "", OLLAMA_HOST="127.0.0.1:none")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_another_shell_is_refused(ollamapy: Command) -> None:
    assert ollamapy("completion", "tcsh").returncode == 2
