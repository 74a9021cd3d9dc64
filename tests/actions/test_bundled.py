import threading

import pytest

from ollamapy.actions.bundled import find_manifest
from ollamapy.errors import ModelNotFoundError
from ollamapy.gguf import read_header
from ollamapy.names import ModelName
from ollamapy.store import Store, load_model

WREN = ModelName.parse("wren")
EMBEDDER = ModelName.parse("wren-embed")


def test_the_bundled_model_is_made_when_it_is_first_asked_for(tmp_path, wren_gguf):
    store = Store(tmp_path / "models")
    assert store.list_manifests() == []
    stored = find_manifest(store, WREN)
    model = load_model(store, stored.name)
    assert model.weights.read_bytes() == wren_gguf.read_bytes()
    assert (model.options.temperature, model.options.num_ctx) == (0.0, 1280)
    assert model.options.stop == ("<|im_end|>", "<|endoftext|>")
    assert model.config.model_type == "6.95M"
    assert find_manifest(store, WREN) == stored


def test_there_is_a_bundled_embedding_model_too(tmp_path):
    store = Store(tmp_path / "models")
    model = load_model(store, find_manifest(store, EMBEDDER).name)
    header = read_header(model.weights)
    assert (header.architecture, header.has_pooling) == ("bert", True)
    assert model.weights.stat().st_size < 6_000_000
    assert [manifest.name for manifest in store.list_manifests()] == [EMBEDDER]


def test_one_that_is_there_is_left_alone(tmp_path):
    store = Store(tmp_path / "models")
    find_manifest(store, WREN)
    store.copy_manifest(WREN, ModelName.parse("other"))
    before = store.read_manifest(WREN)
    assert find_manifest(store, ModelName.parse("WREN")).digest == before.digest


@pytest.mark.parametrize("name", ["nope", "me/wren", "wren:v2", "host/library/wren", "me/wren-embed", "wren-embed:v2"])
def test_no_other_name_is_made(tmp_path, name):
    store = Store(tmp_path / "models")
    with pytest.raises(ModelNotFoundError):
        find_manifest(store, ModelName.parse(name))
    assert store.list_manifests() == []


def test_several_at_once_make_one(tmp_path):
    store = Store(tmp_path / "models")
    found = []
    threads = [threading.Thread(target=lambda: found.append(find_manifest(store, WREN).digest)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
