import os
from dataclasses import replace
from pathlib import Path

import pytest

from ollamapy.actions.bundled import BUNDLED_NAME, find_manifest
from ollamapy.actions.load import load_spec, spec_key
from ollamapy.actions.models import check_for_load, read_model
from ollamapy.config import HostAddress, Settings
from ollamapy.errors import LoadError
from ollamapy.names import ModelName
from ollamapy.scheduler.spec import find_mismatch
from ollamapy.store import Store
from ollamapy.store.manifests import Layer, Manifest
from ollamapy.types import Options

SETTINGS = Settings(host=HostAddress(), models_dir=Path("models"))


@pytest.fixture(scope="module")
def wren(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("load") / "models")
    return read_model(store, find_manifest(store, BUNDLED_NAME).name)


def test_a_model_is_loaded_as_its_options_say(wren):
    options = Options(num_ctx=128, num_batch=64, num_gpu=3, main_gpu=1, use_mmap=False, num_thread=2)
    spec = load_spec(wren, options, replace(SETTINGS, kv_cache_type="q8_0", flash_attention="on"))
    load = spec.load
    assert (spec.name, spec.num_ctx) == ("wren:latest", 128)
    assert (load.n_batch, load.n_gpu_layers, load.main_gpu, load.use_mmap, load.n_threads) == (64, 3, 1, False, 2)
    assert (load.kv_cache_type, load.flash_attention) == ("q8_0", "on")
    assert (load.path, load.adapters) == (str(wren.model.weights), [])
    assert spec.key == spec_key(wren)


def test_no_more_threads_than_processors_are_started(wren):
    assert load_spec(wren, Options(num_thread=4096), SETTINGS).load.n_threads == os.cpu_count()


def test_unset_options_leave_the_choice(wren):
    load = load_spec(wren, Options(), SETTINGS).load
    assert (load.n_batch, load.n_gpu_layers, load.main_gpu, load.use_mmap, load.n_threads) == (512, -1, None, True, 0)
    assert (load.n_seq_max, load.n_parallel) == (256, 0)


def test_the_context_is_that_of_the_settings_up_to_the_models_own(wren):
    assert load_spec(wren, Options(), replace(SETTINGS, context_length=64)).num_ctx == 64
    assert load_spec(wren, Options(), replace(SETTINGS, context_length=9999)).num_ctx == 1280


def test_configured_parallelism_shapes_the_pool(wren):
    spec = load_spec(wren, Options(num_ctx=100), replace(SETTINGS, num_parallel=3))
    assert (spec.wish.parallel, spec.load.n_parallel) == (3, 3)


def test_a_context_that_nobody_asked_for_is_left_to_the_memory(wren):
    spec = load_spec(wren, Options(), SETTINGS)
    assert (spec.num_ctx, spec.wish.num_ctx) == (0, 0)
    asked = load_spec(wren, Options(num_ctx=100), SETTINGS)
    assert (asked.num_ctx, asked.wish.num_ctx) == (100, 100)


def test_what_was_asked_of_the_devices_is_wished(wren):
    settings = replace(SETTINGS, gpu_overhead_bytes=5, sched_spread=True)
    options = Options(num_gpu=7, main_gpu=1, tensor_split="3,1", split_mode="row")
    wish = load_spec(wren, options, settings).wish
    assert (wish.gpu_layers, wish.main_gpu, wish.tensor_split, wish.split_mode) == (7, 1, (3.0, 1.0), "row")
    assert (wish.overhead_bytes, wish.is_spread) == (5, True)


def test_a_damaged_file_is_not_handed_to_llama_cpp(tmp_path, wren_gguf):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(wren_gguf.read_bytes()[:-1000])
    with pytest.raises(LoadError, match=r"could not load wren:latest: .*; create or pull the model again"):
        check_for_load(damaged, BUNDLED_NAME)


@pytest.fixture(scope="module")
def glove(tmp_path_factory, shared_models):
    store = Store(tmp_path_factory.mktemp("glove") / "models")
    digest = store.put_file(shared_models / "gguf" / "glove25-bert-f16.gguf")
    size = store.blob_size(digest)
    layer = Layer("application/vnd.ollama.image.model", digest, size)
    config = store.put_bytes(b'{"model_format":"gguf","model_family":"bert"}')
    manifest = Manifest(
        Layer("application/vnd.docker.container.image.v1+json", config, store.blob_size(config)), (layer,)
    )
    name = ModelName.parse("glove")
    store.write_manifest(name, manifest)
    return read_model(store, name)


def test_an_embedding_model_is_loaded_with_room_for_whole_inputs(glove):
    load = load_spec(glove, Options(), SETTINGS).load
    assert (load.embeds, load.n_ctx, load.n_batch, load.n_seq_max) == (True, 512, 512, 64)
    batches = [load_spec(glove, Options(num_batch=size), SETTINGS).load.n_batch for size in (1, 256, 9999)]
    assert batches == [1, 256, 512]


def test_a_smaller_context_reloads_no_embedding_model(glove):
    whole, small = load_spec(glove, Options(), SETTINGS), load_spec(glove, Options(num_ctx=16), SETTINGS)
    assert (whole.num_ctx, small.num_ctx) == (512, 16)
    assert find_mismatch(whole, small) is None
