"""What the daemon tells about the machine, and what it loads by itself."""

import os
import time

import pytest

from tests.conftest import CHECKOUT
from tests.fakes.registry import fake_registry, plain
from tests.fakes.worker import fake_worker_command
from tests.server.conftest import running


def wait_for(condition):
    """Ask again and again until the answer is true; a hanging daemon fails by the test's own limit."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came"
        os.sched_yield()


def names(daemon):
    return [line["name"] for line in daemon.client.get("/api/ps").json()["models"] if line["state"] == "ready"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with running(tmp_path_factory.mktemp("machine"), fake_worker_command("--measure=2")) as daemon:
        yield daemon


def test_an_estimate_tells_sizes_and_where_they_would_go(small):
    told = small.client.post("/api/estimate", json={"model": "wren", "options": {"num_ctx": 100}}).json()
    assert (told["model"], told["stored"], told["fits"], told["context_length"]) == ("wren:latest", True, True, 100)
    assert told["reason"] == "all layers on FAKE0"
    assert told["size"] == told["weights"] + told["cache"] + told["buffers"] + told["companions"]
    assert [device["name"] for device in told["devices"]] == ["FAKE0", "FAKE1", "host"]
    assert told["devices"][0]["needed"] > told["weights"] / 2
    on_host = small.client.post("/api/estimate", json={"model": "wren", "options": {"num_gpu": 0}}).json()
    assert on_host["reason"] == "all layers on the host (as asked)"


def test_an_estimate_of_what_is_nowhere_is_an_error(small):
    assert small.client.post("/api/estimate", json={"model": "nope"}).status_code >= 400
    assert small.client.post("/api/estimate", json={"model": "wren", "options": {"num_ctx": "x"}}).status_code == 400


def test_an_estimate_without_accelerators_puts_no_layer_on_them(tmp_path):
    with running(tmp_path, fake_worker_command()) as daemon:
        told = daemon.client.post("/api/estimate", json={"model": "wren", "options": {"num_gpu": 99}}).json()
    assert (told["fits"], told["reason"], told["gpu_layers"]) == (True, "all layers on the host", 0)


def test_an_estimate_of_what_does_not_fit_has_the_numbers_of_the_refusal(tmp_path):
    with running(tmp_path, fake_worker_command(), num_parallel=10_000_000) as daemon:
        told = daemon.client.post("/api/estimate", json={"model": "wren", "options": {"num_ctx": 100}}).json()
    assert (told["fits"], told["context_length"], told["kv_cells"]) == (False, 100, 1_000_000_000)
    assert told["size"] == told["weights"] + told["cache"] + told["buffers"] > told["devices"][0]["total"]


def test_what_is_still_in_a_registry_is_estimated_by_the_beginning_of_its_file(small, tmp_path):
    weights = (CHECKOUT / "modelfiles" / "wren" / "wren-q8_0.gguf").read_bytes()
    with fake_registry() as registry:
        registry.add("me/tiny:latest", weights)
        name = f"{registry.host}/me/tiny"
        with running(
            tmp_path, fake_worker_command("--measure=2"), offline=False, registries=(plain(registry),)
        ) as daemon:
            told = daemon.client.post("/api/estimate", json={"model": name, "options": {"num_ctx": 100}}).json()
            assert list(daemon.store.root.glob("blobs/*")) == []
    stored = small.client.post("/api/estimate", json={"model": "wren", "options": {"num_ctx": 100}}).json()
    assert told.pop("stored") is False
    assert stored.pop("stored") is True
    for record in (told, stored):
        record.pop("model")
        record.pop("devices")
    assert told == stored


def test_ready_tells_whether_a_model_could_be_served(small):
    assert small.client.get("/ready").json() == {"status": "ready", "reason": ""}
    assert small.client.get("/ready", params={"model": "wren"}).status_code == 200
    absent = small.client.get("/ready", params={"model": "nope"})
    assert (absent.status_code, absent.json()["reason"]) == (503, "model 'nope' not found")


def test_a_daemon_whose_workers_do_not_start_is_not_ready(tmp_path):
    with running(tmp_path, fake_worker_command("--hello=crash", "--last-words=error: no libllama")) as daemon:
        assert daemon.client.get("/health").status_code == 200
        told = daemon.client.get("/ready")
        assert told.status_code == 503
        assert told.json()["reason"] == (
            "a worker process exited with code 3 before it told its devices: error: no libllama"
        )


def test_a_loaded_model_says_why_it_is_there(small):
    small.client.post("/api/generate", json={"model": "wren", "prompt": "x", "stream": False})
    (line,) = small.client.get("/api/ps").json()["models"]
    assert line["reason"] == "a request asked for it; all layers on FAKE0"
    assert small.client.get("/api/ps").json().get("waiting", []) == []


def test_models_are_loaded_at_the_start_and_pinned_ones_stay(tmp_path):
    with running(tmp_path, fake_worker_command(), pin=("wren",), keep_alive_seconds=0.0) as daemon:
        wait_for(lambda: names(daemon) == ["wren:latest"])
        (line,) = daemon.client.get("/api/ps").json()["models"]
        assert line["expires_at"].startswith(("2262", "2317", "2318", "9999"))


def test_a_model_that_is_not_there_keeps_nothing_from_starting(tmp_path, caplog):
    with running(tmp_path, fake_worker_command(), preload=("nope", "wren")) as daemon:
        wait_for(lambda: names(daemon) == ["wren:latest"])
    assert any("nope was not loaded at the start" in message for message in caplog.messages)
