"""A store of one's own, and models to put into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ollamapy.names import ModelName
from ollamapy.store import (
    CONFIG_TYPE,
    WEIGHTS_TYPE,
    Layer,
    Manifest,
    ModelConfig,
    Store,
    StoredManifest,
    encode_config,
)
from tests import gguf_builder as gb

MakeModel = Callable[..., StoredManifest]
CONFIG = ModelConfig(model_format="gguf", model_family="llama", model_families=("llama",), file_type="F32")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def make_model(store: Store) -> MakeModel:
    """Write a model of these layers: (media type, content)."""

    def make(
        name: str = "tiny", layers: tuple[tuple[str, bytes], ...] | None = None, config: bytes = encode_config(CONFIG)
    ) -> StoredManifest:
        contents = ((WEIGHTS_TYPE, gb.model()),) if layers is None else layers
        made = tuple(Layer(media_type, store.put_bytes(data), len(data)) for media_type, data in contents)
        manifest = Manifest(Layer(CONFIG_TYPE, store.put_bytes(config), len(config)), made)
        return store.write_manifest(ModelName.parse(name), manifest)

    return make


def tree(root: Path) -> set[str]:
    """Every file below a folder, by its relative path."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
