"""Pull and push over HTTP: their lines, statuses, and what starts a pull by itself."""

from __future__ import annotations

import logging

import pytest

from ollamapy.config import Registry
from tests.fakes.registry import FakeRegistry, digest_of, fake_registry
from tests.fakes.worker import fake_worker_command
from tests.server.conftest import Daemon, running

PASSWORD = "hunter2-hunter2"

NOT_THERE = {"error": "pull model manifest: file does not exist", "kind": "registry"}


@pytest.fixture(scope="module")
def registry(wren_gguf):
    with fake_registry() as registry:
        registry.add("me/tiny:latest", wren_gguf.read_bytes(), config=b'{"model_format":"gguf","model_family":"llama"}')
        yield registry


@pytest.fixture(scope="module")
def daemon(registry, tmp_path_factory):
    configured = Registry(host=registry.host, url=registry.base_url, username="me", password=PASSWORD)
    folder = tmp_path_factory.mktemp("daemon")
    with running(folder, fake_worker_command(), registries=(configured,), offline=False) as daemon:
        yield daemon


def test_a_model_that_create_builds_on_is_pulled_first(daemon: Daemon, registry: FakeRegistry) -> None:
    lines = daemon.lines("/api/create", {"model": "mine", "from": f"{registry.host}/me/tiny", "system": "Be brief."})
    statuses = [line["status"] for line in lines]
    assert statuses[0] == "pulling manifest"
    assert statuses.count("success") == 1
    assert statuses[-1] == "success"
    assert daemon.client.post("/api/show", json={"model": "mine"}).json()["system"] == "Be brief."


def test_without_a_stream_the_last_line_alone_is_told(daemon: Daemon, registry: FakeRegistry) -> None:
    body = {"model": f"{registry.host}/me/tiny", "stream": False}
    response = daemon.client.post("/api/pull", json=body)
    assert (response.status_code, response.json()) == (200, {"status": "success"})
    missing = daemon.client.post("/api/pull", json={**body, "model": f"{registry.host}/me/nope"})
    assert (missing.status_code, missing.json()) == (502, NOT_THERE)


def test_a_failure_after_the_first_line_is_the_last_line(daemon: Daemon, registry: FakeRegistry) -> None:
    lines = daemon.lines("/api/pull", {"name": f"{registry.host}/me/nope"})
    assert lines == [{"status": "pulling manifest"}, NOT_THERE]


def test_cached_layers_are_told_as_complete(daemon: Daemon, registry: FakeRegistry, wren_gguf) -> None:
    daemon.lines("/api/pull", {"model": f"{registry.host}/me/tiny"})
    data = wren_gguf.read_bytes()
    lines = daemon.lines("/api/pull", {"model": f"{registry.host}/me/tiny"})
    label = f"pulling {digest_of(data)[7:19]}"
    assert lines[1] == {"status": label, "digest": digest_of(data), "total": len(data), "completed": len(data)}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/pull", {"model": "evil.example/a/b"}, 400),
        ("/api/pull", {"model": "169.254.169.254/a/b", "insecure": True}, 400),
        ("/api/pull", {"model": "../../x"}, 400),
        ("/api/pull", {"model": "a/../../b:c"}, 400),
        ("/api/pull", {"model": "%2e%2e/x"}, 400),
        ("/api/pull", {"model": "x\0y"}, 400),
        ("/api/pull", {"model": "x" * 10_000}, 400),
        ("/api/pull", {}, 400),
        ("/api/push", {}, 400),
        ("/api/push", {"model": "mine"}, 403),
        ("/api/push", {"model": "evil.example/a/b"}, 403),
        ("/api/push", {"model": "../../x"}, 400),
        ("/api/create", {"model": "x", "from": "evil.example/a/b"}, 400),
    ],
)
def test_what_may_not_be_is_refused_before_the_first_line(
    daemon: Daemon, path: str, body: dict[str, object], status: int
) -> None:
    response = daemon.client.post(path, json=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]


def test_no_password_is_logged(daemon: Daemon, registry: FakeRegistry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    daemon.lines("/api/pull", {"model": f"{registry.host}/me/tiny"})
    assert PASSWORD not in caplog.text


def test_what_nobody_needs_is_told_and_kept_on_a_dry_run(daemon: Daemon) -> None:
    response = daemon.client.post("/api/prune", json={"dry_run": True})
    assert (response.status_code, response.json()) == (200, {"unused": []})
