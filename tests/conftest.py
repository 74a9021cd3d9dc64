"""Fixtures that every test may use: where the checkout, the test models and the bundled model are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; in CI, where everything must be present, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true forbids this skip)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root folder of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of public test models: $OLLAMAPY_TEST_MODELS, else `../shared/models` beside the checkout."""
    folder = Path(os.environ.get("OLLAMAPY_TEST_MODELS") or CHECKOUT.parent / "shared" / "models")
    if not folder.is_dir():
        skip_or_fail(f"no test models: {folder} is not a folder; set OLLAMAPY_TEST_MODELS")
    return folder


@pytest.fixture(scope="session")
def wren_gguf() -> Path:
    """The weights of the bundled model."""
    return CHECKOUT / "modelfiles" / "wren" / "wren-q8_0.gguf"
