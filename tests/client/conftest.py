"""Fixtures: a server of Ollama's API in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.ollama_api import FakeOllama, serving


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    """A running server with two models."""
    fake = FakeOllama()
    fake.add("wren:latest")
    fake.add("thinker:latest", capabilities=["completion", "thinking"])
    with serving(fake.app()) as fake.base_url:
        yield fake
