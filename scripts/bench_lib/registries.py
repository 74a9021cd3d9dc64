"""A registry and a daemon for measuring pulls: Debian's docker-registry on loopback, and a model of random bytes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from bench_lib.processes import free_port, running, wait_ready
from ollamapy.client import Client
from ollamapy.names import ModelName
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE, Layer, Manifest, Store

CHUNK_BYTES = 1 << 20


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Run a registry that keeps its data in the folder and yield its `host:port`."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "bench"},
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with running(command, {}, folder / "log") as process:
        wait_ready(process, port, "/v2/", folder / "log")
        yield f"127.0.0.1:{port}"


@contextmanager
def daemon(
    folder: Path, registry: str, store: Path | None = None, **environ: str
) -> Iterator[tuple[Client, Popen[bytes]]]:
    """Run a daemon whose home is the folder and that knows the registry (`host:port`)."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(store or folder / "models"),
        "OLLAMAPY_REGISTRIES": f"http://{registry}",
        **environ,
    }
    command = [sys.executable, "-m", "ollamapy", "serve"]
    with running(command, settings, folder / "log") as process:
        wait_ready(process, port, "/api/version", folder / "log")
        with Client(f"127.0.0.1:{port}") as client:
            yield client, process


def make_model(folder: Path, name: str, size_bytes: int) -> str:
    """Put a model whose weights are random bytes into a store and return the digest of the weights."""
    store = Store(folder / "models")
    with store.blob_writer() as writer:
        for start in range(0, size_bytes, CHUNK_BYTES):
            writer.write(os.urandom(min(CHUNK_BYTES, size_bytes - start)))
        digest = writer.commit()
    config = b'{"model_format":"gguf","model_family":"llama"}'
    layers = (Layer(WEIGHTS_TYPE, digest, size_bytes),)
    manifest = Manifest(Layer(CONFIG_TYPE, store.put_bytes(config), len(config)), layers)
    store.write_manifest(ModelName.parse(name), manifest)
    return str(digest)
