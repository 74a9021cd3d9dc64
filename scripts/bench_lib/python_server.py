"""llama-cpp-python's own example server as a peer, in an environment of its own over the llama.cpp installed here.

Its routes answer one request at a time; that is what is measured.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

from llama_cpp.llama_grammar import json_schema_to_gbnf

from bench_lib.load import Request
from bench_lib.peers import PeerError
from bench_lib.processes import free_port, running, wait_ready
from bench_lib.scenarios import Prompt
from bench_lib.targets import MODEL_NAME, TEMPERATURE, TOP_K, TOP_P, Running, Setup

FOLDER = "python-server"
EXTRA = re.compile(r"""^([^;]+);\s*extra\s*==\s*["']server["']""")


def server_python(peers: Path) -> Path:
    """Return the interpreter of the server's environment; raises PeerError if it was not made."""
    python = peers / FOLDER / "bin" / "python"
    if not python.is_file():
        raise PeerError("llama-cpp-python's server has no environment: run scripts/build_peers first")
    return python


def build_server(peers: Path) -> Path:
    """Make the environment if it is missing: the packages of the extra `server`, and our site-packages behind them."""
    folder = peers / FOLDER
    if (folder / "complete").is_file():
        return server_python(peers)
    venv.create(folder, with_pip=True, clear=True)
    wanted = [match[1].strip() for text in requires("llama-cpp-python") or [] if (match := EXTRA.match(text))]
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
    if subprocess.run(command, check=False).returncode != 0:
        raise PeerError("the packages of llama-cpp-python's server could not be installed; pip's words are above")
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise PeerError(f"llama_cpp is not installed for {sys.executable}")
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "ours.pth").write_text(f"{Path(spec.origin).parents[1]}\n")
    (folder / "complete").touch()
    return server_python(peers)


@dataclass(frozen=True, slots=True)
class PythonServer:
    """`python -m llama_cpp.server`."""

    python: Path
    name: str = "llama-cpp-python"

    @property
    def how(self) -> str:
        """Say how it is run."""
        return "python -m llama_cpp.server --interrupt_requests false --n_ctx CONTEXT --n_threads THREADS"

    @contextmanager
    def start(self, setup: Setup) -> Iterator[Running]:
        """Run the server until its model is loaded."""
        port, log = free_port(), setup.folder / f"{self.name}.log"
        command = [
            *(str(self.python), "-m", "llama_cpp.server", "--model", str(setup.model), "--model_alias", MODEL_NAME),
            *("--host", "127.0.0.1", "--port", str(port), "--n_ctx", str(setup.context_tokens)),
            *("--n_threads", str(setup.threads), "--n_threads_batch", str(setup.threads), "--n_gpu_layers", "-1"),
            *("--interrupt_requests", "false"),
        ]
        with running(command, {}, log) as process:
            wait_ready(process, port, "/v1/models", log)
            yield Running(process, port, log)

    def request(self, prompt: Prompt, seed: int) -> Request:
        """Return a streamed /v1/completions."""
        body = {
            "prompt": prompt.text,
            "max_tokens": prompt.num_predict,
            "stream": True,
            "temperature": TEMPERATURE,
            "top_k": TOP_K,
            "top_p": TOP_P,
            "seed": seed,
        }
        if prompt.schema:
            body["grammar"] = json_schema_to_gbnf(json.dumps(prompt.schema))
        return Request("/v1/completions", json.dumps(body), prompt.delay_seconds)
