"""Fixtures: the small story model in this process, and an engine on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ollamapy.worker.llama import Llama
from tests.worker.drive import Driver, load_llama


@pytest.fixture(scope="module")
def llama(shared_models: Path) -> Iterator[Llama]:
    """The model; tests that fill its memory by themselves clean up."""
    loaded = load_llama(shared_models / "gguf/stories260K-f32.gguf")
    yield loaded
    loaded.close()


@pytest.fixture
def driver(llama: Llama) -> Driver:
    """An engine that remembers nothing."""
    for seq_id in range(llama.n_seq_max):
        llama.remove(seq_id)
    return Driver(llama)
