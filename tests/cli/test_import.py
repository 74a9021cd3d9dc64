"""`import`: models of other programs are listed, and taken into the store of a real daemon."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.names import ModelName
from ollamapy.store import Store, load_model
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama
from tests.fakes.worker import fake_worker_command
from tests.server.conftest import Daemon, running
from tests.sources.test_found import Q4, Q8, put

HUB_NAME = "hf.co/some/tiny-GGUF:Q4_K_M"
OTHER = "me/other:Q8_0"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path, fake_worker_command()) as daemon:
        daemon.store.check_writable()
        yield daemon


@pytest.fixture
def machine(daemon: Daemon, checkout: Path, tmp_path: Path) -> Iterator[Command]:
    """A home with models of other programs, and commands that share the daemon's store."""
    home = tmp_path / "home"
    put(home / ".cache/huggingface/hub/models--some--tiny-GGUF/snapshots/1/tiny.gguf", Q4)
    put(home / ".lmstudio/models/me/other/other.gguf", Q8)
    command = Command(checkout, home, daemon.url)
    command.environ["OLLAMA_MODELS"] = str(daemon.store.root)
    yield command
    command.end()


def weights(daemon: Daemon, name: str) -> Path:
    return load_model(daemon.store, ModelName.parse(name)).weights


def test_what_there_is_is_listed_and_nothing_taken(machine: Command, daemon: Daemon) -> None:
    done = machine("import", "--dry-run")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["NAME", "SIZE", "FROM"]
    assert [row[0] for row in rows[1:]] == [HUB_NAME, OTHER]
    assert daemon.store.list_manifests() == []


def test_the_list_can_be_had_as_json(machine: Command) -> None:
    found = json.loads(machine("import", "--dry-run", "--json").stdout)["models"]
    assert [(model["name"], model["program"], model["size"]) for model in found] == [
        (HUB_NAME, "Hugging Face", len(Q4)),
        (OTHER, "LM Studio", len(Q8)),
    ]


@pytest.mark.parametrize("words", [("import",), ("import", "--dry-run")], ids=str)
def test_where_nothing_is_found_it_is_told_where_it_was_looked_for(
    ollamapy: Command, fake: FakeOllama, words: tuple[str, ...]
) -> None:
    done = ollamapy(*words)
    told, *folders = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "")
    assert told == "no model was found; these folders were looked at:"
    assert f"  {ollamapy.home}/.cache/huggingface/hub" in folders
    assert f"  {ollamapy.home}/.ollama/models" in folders
    assert json.loads(ollamapy(*words, "--json").stdout) == {"models": []}


def test_all_are_taken_and_it_is_told_how(machine: Command, daemon: Daemon) -> None:
    done = machine("import")
    assert done.returncode == 0, done.stderr
    assert "tiny.gguf is copied into" in done.stderr or "tiny.gguf shares its blocks with" in done.stderr
    assert weights(daemon, HUB_NAME).read_bytes() == Q4
    assert weights(daemon, OTHER).read_bytes() == Q8
    assert f"{HUB_NAME} is here already" in machine("import").stderr


def test_those_named_are_taken_alone(machine: Command, daemon: Daemon) -> None:
    done = machine("import", "me/other:q8_0", "--hardlink")
    assert done.returncode == 0, done.stderr
    assert [str(stored.name) for stored in daemon.store.list_manifests()] == [OTHER]
    is_linked = weights(daemon, OTHER).samefile(machine.home / ".lmstudio/models/me/other/other.gguf")
    assert is_linked or "shares its blocks" in done.stderr


def test_a_name_that_nobody_has_is_told(machine: Command) -> None:
    done = machine("import", "nobody")
    told = "Error: model 'nobody:latest' not found; `ollamapy import --dry-run` lists what there is\n"
    assert (done.returncode, done.stderr) == (3, told)


def test_a_file_that_is_refused_is_told_and_the_rest_taken(machine: Command, daemon: Daemon) -> None:
    put(machine.home / ".lmstudio/models/me/cut/cut.gguf", Q8[:-9])
    done = machine("import")
    assert done.returncode == 2
    assert "me/cut:Q8_0: cut.gguf: truncated GGUF" in done.stderr
    assert done.stderr.count("truncated GGUF") == 1
    assert weights(daemon, OTHER).read_bytes() == Q8


def test_a_model_of_ollamas_store_is_adopted_as_it_is(machine: Command, daemon: Daemon) -> None:
    assert machine("import", OTHER).returncode == 0
    theirs = Store(machine.home / ".ollama/models")
    shutil.copytree(daemon.store.root, theirs.root)
    daemon.client.request("DELETE", "/api/delete", json={"model": OTHER})
    shutil.rmtree(machine.home / ".lmstudio")
    assert machine("import", OTHER, "--hardlink").returncode == 0
    name = ModelName.parse(OTHER)
    assert daemon.store.read_manifest_file(name)[1] == theirs.read_manifest_file(name)[1]
    daemon.client.request("DELETE", "/api/delete", json={"model": OTHER})
    assert load_model(theirs, name).weights.read_bytes() == Q8


def test_what_the_store_has_is_not_copied_from_ollamas(machine: Command, daemon: Daemon) -> None:
    assert machine("import", OTHER).returncode == 0
    theirs = Store(machine.home / ".ollama/models")
    shutil.copytree(daemon.store.root, theirs.root)
    theirs.copy_manifest(ModelName.parse(OTHER), ModelName.parse("second"))
    done = machine("import", "second")
    assert (done.returncode, done.stderr) == (0, "importing second:latest from Ollama\n")
    assert weights(daemon, "second").read_bytes() == Q8


def test_a_daemon_with_another_store_is_sent_the_files(machine: Command, daemon: Daemon, tmp_path: Path) -> None:
    own = Store(tmp_path / "own")
    own.check_writable()
    done = machine("import", HUB_NAME, OLLAMA_MODELS=str(own.root))
    assert done.returncode == 0, done.stderr
    assert "copying file" in done.stderr
    assert weights(daemon, HUB_NAME).read_bytes() == Q4
    assert list((own.root / "blobs").iterdir()) == []


def test_a_store_that_is_not_there_is_not_made(ollamapy: Command, fake: FakeOllama) -> None:
    put(ollamapy.home / ".lmstudio/models/me/other/other.gguf", Q8)
    done = ollamapy("import", OTHER, OLLAMA_MODELS=str(ollamapy.home / "never"))
    assert done.returncode == 0, done.stderr
    assert list(fake.blobs.values()) == [Q8]
    assert not (ollamapy.home / "never").exists()


def test_create_takes_a_file_into_the_shared_store(machine: Command, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM ./home/.lmstudio/models/me/other/other.gguf\n")
    done = machine("create", "mine", "--hardlink", "-f", str(tmp_path / "Modelfile"))
    assert done.returncode == 0, done.stderr
    assert "other.gguf is linked into" in done.stderr or "other.gguf shares its blocks" in done.stderr
    assert weights(daemon, "mine").read_bytes() == Q8
