"""Shapes of models of well-known sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ollamapy.gguf import read_header
from ollamapy.scheduler.shape import ModelShape, shape_of
from tests.conftest import CHECKOUT
from tests.scheduler.families import write_family

sys.path.insert(0, str(CHECKOUT / "scripts"))
MakeShape = Callable[[str, str], ModelShape]


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of `write_family` are."""
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session")
def family_shape(family_folder: Path) -> MakeShape:
    """Return a function that tells the shape of a family with a type of tensors."""
    return cache(lambda name, kind: shape_of(read_header(write_family(family_folder, name, kind))))
