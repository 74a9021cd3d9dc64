"""Whether a registry has something newer, told without fetching it."""

from __future__ import annotations

import asyncio
import os

import pytest

from ollamapy.actions.update import check_update
from ollamapy.errors import InvalidInputError, ModelNotFoundError, RegistryError
from ollamapy.names import ModelName
from tests.actions.test_push import make_model
from tests.fakes.registry import FakeRegistry, Puller, fake_registry, plain

WEIGHTS = os.urandom(100_000)


@pytest.fixture
def registry():
    with fake_registry() as registry:
        registry.add("me/tiny:latest", WEIGHTS)
        yield registry


@pytest.fixture
def puller(registry, tmp_path):
    return Puller(tmp_path, plain(registry))


def state(puller: Puller, model: str, *, only_pulled: bool = False) -> str:
    async def ask() -> str:
        services = await puller.services()
        try:
            return (await check_update(services, model, only_pulled=only_pulled)).state
        finally:
            await services.remotes.close()

    return asyncio.run(ask())


def test_what_was_pulled_is_current_until_the_registry_has_another_manifest(registry: FakeRegistry, puller: Puller):
    name = f"{registry.host}/me/tiny"
    puller.pull(name)
    registry.requests.clear()
    assert state(puller, name) == "current"
    registry.add("me/tiny:latest", b"newer")
    assert state(puller, name, only_pulled=True) == "newer"
    assert registry.paths("/blobs/") == []
    puller.pull(name)
    assert state(puller, name) == "current"
    registry.manifests.clear()
    assert state(puller, name) == "absent"


def test_what_was_made_here_is_looked_for_only_by_name(registry: FakeRegistry, puller: Puller):
    name = f"{registry.host}/me/tiny"
    make_model(puller, name, b"made here")
    assert state(puller, name, only_pulled=True) == "local"
    assert registry.requests == []
    assert state(puller, name) == "newer"


def test_what_was_pulled_and_changed_here_counts_as_made_here(registry: FakeRegistry, puller: Puller):
    name = f"{registry.host}/me/tiny"
    puller.pull(name)
    assert state(puller, name, only_pulled=True) == "current"
    make_model(puller, name, b"changed")
    assert state(puller, name, only_pulled=True) == "local"


@pytest.mark.parametrize("name", ["wren", "wren-embed:latest"])
def test_a_bundled_model_is_asked_of_no_registry(registry: FakeRegistry, puller: Puller, name: str):
    assert state(puller, name) == "local"
    assert state(puller, name, only_pulled=True) == "local"
    assert registry.requests == []


def test_a_copy_of_what_was_pulled_is_no_pulled_model(registry: FakeRegistry, puller: Puller):
    puller.pull(f"{registry.host}/me/tiny")
    puller.store.copy_manifest(ModelName.parse(f"{registry.host}/me/tiny"), ModelName.parse("mine"))
    assert state(puller, "mine", only_pulled=True) == "local"


def test_a_damaged_record_of_pulls_counts_as_none(registry: FakeRegistry, puller: Puller):
    name = f"{registry.host}/me/tiny"
    puller.pull(name)
    (puller.store.root / "pulled.json").write_bytes(b"[")
    assert state(puller, name, only_pulled=True) == "local"
    puller.pull(name)
    assert state(puller, name, only_pulled=True) == "current"


def test_what_can_not_be_asked_is_told(registry: FakeRegistry, puller: Puller):
    with pytest.raises(ModelNotFoundError):
        state(puller, "nope")
    make_model(puller, "evil.example/a/b", b"x")
    with pytest.raises(InvalidInputError, match="not configured"):
        state(puller, "evil.example/a/b")
    puller.pull(f"{registry.host}/me/tiny")
    registry.manifests["me/tiny:latest"] = b"<html>"
    with pytest.raises(RegistryError, match="pull model manifest: "):
        state(puller, f"{registry.host}/me/tiny")
