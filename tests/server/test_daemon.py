import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ollamapy.config import HostAddress, Settings
from ollamapy.errors import ConfigError, ServiceError, StoreError
from ollamapy.runner.launch import WorkerPool
from ollamapy.server.application import build_routes
from ollamapy.server.daemon import bind, serve
from ollamapy.server.guard import PUBLIC_PATHS
from tests.fakes.worker import fake_worker_command
from tests.server.conftest import running

ROOT = Path(__file__).resolve().parents[2]


def start(**settings):
    """Serve with these settings, which refuse to."""
    asyncio.run(serve(Settings(**settings), WorkerPool(keep_spare=False)))


@pytest.fixture
def keyed(tmp_path):
    with running(tmp_path, fake_worker_command(), api_keys=("sesame", "other")) as daemon:
        yield daemon


def route_table():
    """Every method and path that the application itself declares."""
    for route in build_routes(None):
        for method in route.methods:
            yield method, re.sub(r"\{[^}]*\}", "x", route.path)


CHANGES = {("POST", f"/api/{verb}") for verb in ("pull", "push", "update", "estimate", "create", "copy", "prune")} | {
    ("DELETE", "/api/delete"),
    ("POST", "/api/blobs/x"),
    ("HEAD", "/api/blobs/x"),
}


def test_t05_a_key_for_inference_changes_nothing(tmp_path):
    with running(tmp_path, fake_worker_command(), api_keys=("all",), inference_keys=("some",)) as daemon:
        for method, path in route_table():
            refused = daemon.client.request(method, path, headers={"authorization": "Bearer some"}).status_code == 403
            assert refused is ((method, path) in CHANGES), (method, path)
            assert daemon.client.request(method, path, headers={"x-api-key": "all"}).status_code not in (401, 403)
            wrong = daemon.client.request(method, path, headers={"x-api-key": "wrong"})
            assert (wrong.status_code == 401) is (path not in PUBLIC_PATHS)


def test_t03_every_route_needs_the_key(keyed):
    table = [(method, path) for method, path in route_table() if path not in PUBLIC_PATHS]
    assert len(table) >= 40
    for method, path in table:
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer wrong"},
            {"authorization": "Bearer sesam"},
            {"authorization": "Basic sesame"},
            {"x-api-key": ""},
            {"authorization": "Bearer é".encode("latin-1")},
        ):
            response = keyed.client.request(method, path, headers=headers)
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"] == "Bearer"
        for headers in ({"authorization": "Bearer sesame"}, {"x-api-key": "other"}):
            assert keyed.client.request(method, path, headers=headers).status_code != 401, (method, path)
        assert keyed.client.request(method, f"{path}?api_key=sesame").status_code == 401


def test_t03_only_greeting_and_health_are_public(keyed):
    assert {keyed.client.get(path).status_code for path in PUBLIC_PATHS} == {200}
    assert keyed.client.get("/nope").status_code == 401


def test_t01_a_whole_url_in_the_request_line_counts_before_the_host_header(daemon):
    def ask(line, *headers):
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            connection.sendall("\r\n".join((line, *headers, "Connection: close", "", "")).encode())
            return connection.makefile("rb").readline()

    local = f"Host: 127.0.0.1:{daemon.port}"
    assert b"200" in ask("GET /api/tags HTTP/1.1", local)
    assert b"403" in ask("GET http://evil.example/api/tags HTTP/1.1", local)
    assert b"200" in ask(f"GET http://127.0.0.1:{daemon.port}/api/tags HTTP/1.1", "Host: evil.example")
    assert b"403" in ask("GET /api/tags HTTP/1.0")
    assert b"403" in ask("GET /api/tags HTTP/1.1", local, "Host: evil.example")


def test_t02_another_origin_changes_nothing(daemon):
    evil = {"origin": "https://evil.example", "content-type": "text/plain"}
    body = {"model": "pwned", "from": "wren"}
    for method, path in (("POST", "/api/create"), ("DELETE", "/api/delete"), ("POST", "/v1/chat/completions")):
        response = daemon.client.request(method, path, json=body, headers=evil)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers
    assert daemon.client.post("/api/show", json={"model": "pwned"}).status_code == 404


def test_t02_an_allowed_origin_is_told_so(daemon):
    origin = "http://localhost:3000"
    response = daemon.client.get("/api/tags", headers={"origin": origin})
    assert response.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Origin"
    asked = {"origin": origin, "access-control-request-method": "POST"}
    response = daemon.client.options("/v1/chat/completions", headers=asked)
    assert response.status_code == 204
    assert "x-api-key" in response.headers["access-control-allow-headers"]
    assert "DELETE" in response.headers["access-control-allow-methods"]
    refused = daemon.client.options("/api/chat", headers={**asked, "origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_t63_a_body_over_the_limit_is_refused(tmp_path):
    with running(tmp_path, fake_worker_command(), max_body_bytes=1000) as daemon:
        announced = daemon.client.post("/api/chat", content=b" " * 2000)
        assert announced.status_code == 413
        assert "OLLAMAPY_MAX_BODY" in announced.json()["error"]
        streamed = daemon.client.post("/v1/chat/completions", content=iter([b" " * 600] * 3))
        assert streamed.status_code == 413
        assert daemon.client.get("/api/version").status_code == 200


def test_a_port_in_use_names_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"port {port} on 127.0.0.1 is in use; .* OLLAMA_HOST="):
            bind(Settings(host=HostAddress(port=port), models_dir=Path("x")))


def test_an_address_of_another_machine_can_not_be_bound():
    with pytest.raises(ServiceError, match="OLLAMA_HOST"):
        bind(Settings(host=HostAddress(host="192.0.2.1", port=0), models_dir=Path("x")))


def test_t04_an_open_bind_without_a_key_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="OLLAMAPY_API_KEYS"):
        start(host=HostAddress(host="0.0.0.0", port=0), models_dir=tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_store_that_can_not_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "models").write_text("a file in its place")
    with pytest.raises(StoreError):
        start(host=HostAddress(port=0), models_dir=tmp_path / "models")


@pytest.fixture
def process(tmp_path):
    """A daemon in a process of its own, and the address that it logged."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    env |= {"OLLAMA_HOST": "127.0.0.1:0", "OLLAMA_MODELS": str(tmp_path / "models")}
    started = subprocess.Popen((sys.executable, "-m", "ollamapy", "serve"), env=env, stderr=subprocess.PIPE, text=True)
    line = started.stderr.readline()
    url = re.search(r"Listening on (http://\S+)", line)
    assert url, line + started.stderr.read()
    try:
        yield started, url[1]
    finally:
        started.kill()
        started.stderr.close()
        started.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_quietly(process, number):
    started, url = process
    assert httpx.get(f"{url}/", trust_env=False).status_code == 200
    started.send_signal(number)
    assert started.wait(20) == 0
    assert "Traceback" not in started.stderr.read()


def test_t71_the_log_holds_no_prompts(process):
    started, url = process
    for body in ({"model": "nope", "prompt": "hush"}, {"model": "wren", "prompt": ["hush"]}):
        httpx.post(f"{url}/api/generate", json=body, trust_env=False)
    started.terminate()
    assert started.wait(20) == 0
    assert "hush" not in started.stderr.read()


def test_an_idle_daemon_is_small(process):
    started, url = process
    httpx.get(f"{url}/api/tags", trust_env=False)
    status = Path(f"/proc/{started.pid}/status")
    if not status.exists():
        pytest.skip("no /proc on this system")
    kibibytes = int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])
    assert kibibytes < 90 << 10


def test_who_starts_a_daemon_is_told_which_folder_can_not_be_the_store(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        start(host=HostAddress(port=0), models_dir=tmp_path / "file" / "models")
    assert f"{tmp_path}/file/models, which OLLAMA_MODELS sets" in caught.value.message


@pytest.mark.parametrize("start", ["GET /api/tags HTTP/1.1\r\nX: ", "GET /", ""], ids=["header", "url", "nothing"])
def test_headers_without_an_end_are_refused(daemon, start):
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        text = start.encode() or b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000
        connection.sendall(text.ljust(65_537, b"x")[:65_537])
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.endswith(b"larger than 64 KiB")


def test_headers_up_to_the_bound_and_bodies_beyond_it_are_served(daemon):
    large = {"x-large": "x" * 60_000}
    assert daemon.client.get("/api/version", headers=large).status_code == 200
    assert daemon.client.post("/api/show", content=b" " * 200_000 + b"{}", headers=large).status_code == 400
    pieces = iter([b" " * 200_000, b"{}"])
    assert daemon.client.post("/api/show", content=pieces, headers=large).status_code == 400
