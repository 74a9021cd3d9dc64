"""Clients that go away: what they asked for ends, and nobody else notices."""

import json
import math
import os
import socket
import time

import pytest

from tests.fakes.worker import fake_worker_command
from tests.server.conftest import running

STALL = {"model": "wren", "raw": True, "prompt": "!stall"}


def open_request(daemon, path, body):
    """Send a request and leave its answer unread."""
    data = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", daemon.port))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
    )
    return connection


def cancelled(daemon, model="wren"):
    """Return how many requests the worker was told to forget; a fake worker tells when it detokenises nothing."""
    text = daemon.client.post("/api/detokenize", json={"model": model, "tokens": []}).json()["content"]
    return len(json.loads(text.removeprefix("cancelled ")))


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def loaded(daemon):
    return daemon.client.get("/api/ps").json()["models"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_stalled_request_is_cancelled_in_the_worker(daemon, stream):
    daemon.client.post("/api/generate", json={"model": "wren"})
    before = cancelled(daemon)
    with open_request(daemon, "/api/generate", {**STALL, "stream": stream}) as connection:
        if stream:
            assert b"200 OK" in connection.recv(4096)
        wait_until(lambda: loaded(daemon)[0].get("active_requests") == 1)
    wait_until(lambda: cancelled(daemon) == before + 1)
    wait_until(lambda: "active_requests" not in loaded(daemon)[0])
    answer = daemon.client.post("/api/generate", json={**STALL, "prompt": "next", "stream": False}).json()
    assert answer["response"] == "next "


def test_an_openai_stream_is_cancelled_too(daemon):
    daemon.lines("/api/create", {"model": "stall", "from": "wren", "template": "!stall"})
    body = {"model": "stall", "messages": [{"role": "user", "content": "x"}], "stream": True}
    with open_request(daemon, "/v1/chat/completions", body) as connection:
        assert b"text/event-stream" in connection.recv(4096)
    wait_until(lambda: all("active_requests" not in model for model in loaded(daemon)))


def test_a_client_that_leaves_while_the_model_loads_ends_the_load(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with running(tmp_path, fake_worker_command("--load", f"gate:{gate}")) as daemon:
        with open_request(daemon, "/api/generate", STALL):
            wait_until(lambda: [model["state"] for model in loaded(daemon)] == ["loading"])
        wait_until(lambda: loaded(daemon) == [])
        assert daemon.client.get("/api/version").status_code == 200


def test_an_upload_that_breaks_off_leaves_nothing(daemon):
    head = f"POST /api/blobs/sha256:{'1' * 64} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
        connection.sendall(head.encode() + b"x" * 500)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)
    assert daemon.client.head(f"/api/blobs/sha256:{'1' * 64}").status_code == 404
    wait_until(lambda: list((daemon.store.root / "uploads").iterdir()) == [])


def test_t67_idle_readers_disturb_nobody(daemon):
    daemon.client.post("/api/generate", json={"model": "wren"})
    readers = [open_request(daemon, "/api/generate", STALL) for _ in range(50)]
    try:
        wait_until(lambda: loaded(daemon)[0].get("active_requests") == 50)
        answer = daemon.client.post("/api/generate", json={**STALL, "prompt": "quick", "stream": False}).json()
        assert answer["response"] == "quick "
    finally:
        for reader in readers:
            reader.close()
    wait_until(lambda: "active_requests" not in loaded(daemon)[0])


def test_a_full_queue_is_503_and_says_when_to_come_back(tmp_path):
    with running(tmp_path, fake_worker_command(), num_parallel=1, max_queue=1) as daemon:
        daemon.client.post("/api/generate", json={"model": "wren"})
        readers = [open_request(daemon, "/api/generate", STALL) for _ in range(2)]
        wait_until(lambda: loaded(daemon)[0].get("active_requests") == 2)
        for path, body in (
            ("/api/generate", {**STALL, "prompt": "next"}),
            ("/v1/completions", {"model": "wren", "prompt": "next"}),
        ):
            answer = daemon.client.post(path, json=body)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        for reader in readers:
            reader.close()
        wait_until(lambda: "active_requests" not in loaded(daemon)[0])
        answer = daemon.client.post("/api/generate", json={**STALL, "prompt": "next", "stream": False})
        assert answer.json()["response"] == "next "


def test_answers_that_outlive_the_daemon_end_with_the_reason(tmp_path):
    with running(tmp_path, fake_worker_command(), drain_seconds=0.1) as daemon:
        native = open_request(daemon, "/api/generate", STALL)
        openai = open_request(daemon, "/v1/completions", {"model": "wren", "prompt": "!stall", "stream": True})
        whole = open_request(daemon, "/api/generate", {**STALL, "stream": False})
        wait_until(lambda: loaded(daemon) and loaded(daemon)[0].get("active_requests") == 3)
    answers = []
    for connection in (native, openai, whole):
        with connection, connection.makefile("rb") as reader:
            answers.append(reader.read())
    assert all(b"unloaded while it was answering; send the request again" in answer for answer in answers)
    assert answers[0].endswith(b'"kind":"runner"}\n\r\n0\r\n\r\n')
    assert answers[2].startswith(b"HTTP/1.1 500 ")


def test_an_end_that_is_forced_waits_for_no_answer(tmp_path):
    with running(tmp_path, fake_worker_command(), drain_seconds=math.inf) as daemon:
        stalled = open_request(daemon, "/api/generate", STALL)
        wait_until(lambda: loaded(daemon) and loaded(daemon)[0].get("active_requests") == 1)
        daemon.server.force_exit = True  # as a second SIGINT does
    with stalled, stalled.makefile("rb") as reader:
        assert b'{"error":"the server is shutting down","kind":"service"}' in reader.read()
