"""Debian's `docker-registry` as a process of the test's own: plain, with basic authentication, or with tokens."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import skip_or_fail

READY_SECONDS = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def docker_registry(
    folder: Path, auth: Mapping[str, Any] | None = None, port: int = 0, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Yield the `host:port` of a registry that keeps its data in the folder; `tls` are a certificate and its key."""
    program = shutil.which("docker-registry")
    if program is None:
        skip_or_fail("docker-registry is not installed; it is in Debian's package of that name")
    folder.mkdir(exist_ok=True)
    address = f"127.0.0.1:{port or free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address, "secret": "test", **(_tls(*tls) if tls else {})},
        **({"auth": dict(auth)} if auth else {}),
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until_ready(f"http://{address}/v2/", process)
        yield address
    finally:
        process.kill()
        process.wait()


def _tls(certificate: Path, key: Path) -> dict[str, Any]:
    return {"tls": {"certificate": str(certificate), "key": str(key)}}


def make_certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for these names (`DNS:…`, `IP:…`) and return it and its key."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    names_given = ["-addext", "subjectAltName=" + ",".join(names)] if names else []
    done = subprocess.run([*words, *names_given, "-keyout", key, "-out", certificate], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return certificate, key


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until someone answers."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise AssertionError("docker-registry does not answer")
