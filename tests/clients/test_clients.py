"""Each client's own normal flow against a real daemon over real models, in a process of its own."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, skip_or_fail
from tests.server.conftest import running
from tests.server.test_routes_embed import create

pytestmark = pytest.mark.model
FOLDER = Path(__file__).parent
OTHER_PYTHON = CHECKOUT / ".venv-clients" / "bin" / "python"
SECONDS = 300


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, shared_models):
    """A daemon with the chat model that comes with it and an embedding model."""
    with running(tmp_path_factory.mktemp("clients"), max_loaded_models=2) as daemon:
        create(daemon, "glove", shared_models / "gguf" / "glove25-bert-f16.gguf")
        yield daemon


def play(command, daemon, home):
    """Run a client; its output is told where it fails."""
    environment = {**os.environ, "HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    arguments = [*map(str, command), daemon.url]
    done = subprocess.run(arguments, env=environment, cwd=home, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def aborted(caplog):
    return [record for record in caplog.records if "the client went away" in record.message]


@pytest.mark.parametrize("name", ["ollama", "llm", "pydantic_ai"])
def test_a_python_client_is_served(daemon, name, tmp_path, caplog):
    caplog.set_level(logging.INFO, "ollamapy.server")
    play([sys.executable, FOLDER / f"with_{name}.py"], daemon, tmp_path)
    assert aborted(caplog)


@pytest.mark.parametrize("name", ["litellm", "langchain", "llama_index", "instructor"])
def test_a_python_client_with_other_dependencies_is_served(daemon, name, tmp_path, caplog):
    if not OTHER_PYTHON.exists():
        skip_or_fail("scripts/install makes .venv-clients, which is not there")
    caplog.set_level(logging.INFO, "ollamapy.server")
    play([OTHER_PYTHON, FOLDER / f"with_{name}.py"], daemon, tmp_path)
    assert aborted(caplog) or name == "instructor"  # which reads all of a stream before it hands out any


@pytest.mark.parametrize("name", ["ollama", "ai_sdk"])
def test_a_javascript_client_is_served(daemon, name, tmp_path, caplog):
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        skip_or_fail("no node, or no packages for it: install node and npm, then run scripts/install")
    caplog.set_level(logging.INFO, "ollamapy.server")
    play(["node", FOLDER / f"with_{name}.mjs"], daemon, tmp_path)
    assert aborted(caplog)
