import threading

import pytest

from ollamapy.actions.bundled import find_manifest
from ollamapy.errors import ModelNotFoundError
from ollamapy.names import ModelName
from ollamapy.store import Store, load_model

WREN = ModelName.parse("wren")


def test_the_bundled_model_is_made_when_it_is_first_asked_for(tmp_path, wren_gguf):
    store = Store(tmp_path / "models")
    assert store.list_manifests() == []
    stored = find_manifest(store, WREN)
    model = load_model(store, stored.name)
    assert model.weights.read_bytes() == wren_gguf.read_bytes()
    assert (model.options.temperature, model.options.num_ctx) == (0.0, 512)
    assert model.options.stop == ("<|im_end|>", "<|endoftext|>")
    assert model.config.model_type == "5.11M"
    assert find_manifest(store, WREN) == stored


def test_one_that_is_there_is_left_alone(tmp_path):
    store = Store(tmp_path / "models")
    find_manifest(store, WREN)
    store.copy_manifest(WREN, ModelName.parse("other"))
    before = store.read_manifest(WREN)
    assert find_manifest(store, ModelName.parse("WREN")).digest == before.digest


@pytest.mark.parametrize("name", ["nope", "me/wren", "wren:v2", "host/library/wren"])
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
