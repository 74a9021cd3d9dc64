"""Models in Ollama's own layouts, from the upload to the answer: translated once, and gone with their model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ollamapy.gguf import check_file
from ollamapy.names import Digest, ModelName
from ollamapy.store import PROJECTOR_TYPE, WEIGHTS_TYPE, load_model
from tests import gguf_builder as gb
from tests.convert.families import FAMILIES, gemma3, gptoss, qwen3vl, qwen25vl
from tests.server.conftest import running
from tests.server.test_split_models import create, upload
from tests.store.conftest import tree

ASK = {
    "prompt": "w3 w1 w2", "raw": True, "stream": False, "logprobs": True, "top_logprobs": 3,
    "options": {"temperature": 0, "num_predict": 12, "num_ctx": 128},
}  # fmt: skip

SPEAKING = sorted(FAMILIES.keys() - {"embeddinggemma"})


def put(daemon, name, file, folder):
    """Create a model of a tiny file; returns the statuses."""
    data = file.write(folder / f"{name}.gguf").read_bytes()
    files = upload(daemon, {f"{name}.gguf": data})
    return [step["status"] for step in daemon.lines("/api/create", {"model": name, "files": files})]


def answer(daemon, name):
    """Return what the model says, with the numbers behind it."""
    said = daemon.client.post("/api/generate", json={**ASK, "model": name}).json()
    assert "error" not in said, said
    return said["response"], said["logprobs"]


def translation(daemon, name):
    """Return the blobs that stand for a model's weights, by media type."""
    weights = load_model(daemon.store, ModelName.parse(name)).weights_digest
    return {layer.media_type: layer.digest for layer in daemon.store.read_translation(weights)}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with running(tmp_path_factory.mktemp("translations")) as daemon:
        yield daemon


@pytest.mark.model
@pytest.mark.parametrize("family", SPEAKING)
def test_the_old_layout_answers_as_the_new_one(real, tmp_path, family):
    new, old = FAMILIES[family]()
    assert not any("translating" in status for status in put(real, f"new-{family}", new, tmp_path))
    assert f"translating {family} for llama.cpp" in put(real, f"old-{family}", old, tmp_path)
    assert answer(real, f"old-{family}") == answer(real, f"new-{family}")


@pytest.mark.model
def test_a_translation_is_made_once_and_outlives_the_daemon(tmp_path):
    _, old = gptoss()
    with running(tmp_path) as daemon:
        put(daemon, "old", old, tmp_path)
        manifest = daemon.store.read_manifest_file(ModelName.parse("old"))[1]
        made = translation(daemon, "old")
    with running(tmp_path) as daemon:
        said = answer(daemon, "old")
        path = daemon.store.open_blob(made[WEIGHTS_TYPE])
        before = path.stat()
        assert put(daemon, "again", old, tmp_path)[-1] == "success"
        assert answer(daemon, "again") == said
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert daemon.store.read_manifest_file(ModelName.parse("old"))[1] == manifest
        assert translation(daemon, "old") == made


@pytest.mark.model
def test_a_translation_that_was_lost_is_made_again(tmp_path):
    _, old = gptoss()
    with running(tmp_path) as daemon:
        put(daemon, "old", old, tmp_path)
        said = answer(daemon, "old")
        daemon.client.post("/api/generate", json={"model": "old", "keep_alive": 0})
        daemon.store.open_blob(translation(daemon, "old")[WEIGHTS_TYPE]).unlink()
        assert translation(daemon, "old") == {}
        assert answer(daemon, "old") == said


@pytest.mark.model
def test_a_translation_stays_as_long_as_its_model_and_no_longer(real, tmp_path):
    _, old = gemma3()
    put(real, "kept", old, tmp_path)
    real.client.post("/api/copy", json={"source": "kept", "destination": "copied"})
    made = translation(real, "kept")
    assert set(made) == {WEIGHTS_TYPE, PROJECTOR_TYPE}
    assert real.store.unused_blobs(older_than=float("inf")) == []
    real.client.request("DELETE", "/api/delete", json={"model": "kept"})
    real.client.request("DELETE", "/api/delete", json={"model": "old-gemma3"})
    assert all(real.store.has_blob(digest) for digest in made.values())
    real.client.request("DELETE", "/api/delete", json={"model": "copied"})
    assert not any(real.store.has_blob(digest) for digest in made.values())


@pytest.mark.model
@pytest.mark.parametrize("family", [gemma3, qwen25vl, qwen3vl])
def test_llama_cpp_takes_the_encoder_that_was_split_off(real, tmp_path, family):
    name = f"seeing-{family.__name__}"
    put(real, name, family()[1], tmp_path)
    assert "vision" in real.client.post("/api/show", json={"model": name}).json()["capabilities"]
    made = translation(real, name)
    loaded = run_mtmd(real.store.open_blob(made[WEIGHTS_TYPE]), real.store.open_blob(made[PROJECTOR_TYPE]))
    assert loaded["sees"] is True


def run_mtmd(weights, projector):
    """Load both with llama.cpp's own library for images, in a process of its own, and return what it says."""
    code = """
import ctypes, json, sys
from llama_cpp import llama_cpp as api, mtmd_cpp as mtmd
api.llama_backend_init()
model = api.llama_model_load_from_file(sys.argv[1].encode(), api.llama_model_default_params())
params = mtmd.mtmd_context_params_default()
params.use_gpu, params.warmup = False, False
context = mtmd.mtmd_init_from_file(sys.argv[2].encode(), model, params)
print(json.dumps({"sees": bool(model and context and mtmd.mtmd_support_vision(context))}))
"""
    words = [sys.executable, "-c", code, str(weights), str(projector)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_layout_that_nothing_can_be_made_of_is_refused_with_one_that_loads(daemon):
    mllama = gb.build(gb.model_entries(arch="mllama"), gb.TENSORS, bytes(gb.DATA_BYTES))
    status, told = create(daemon, "picture", upload(daemon, {"m.gguf": mllama}))
    assert status == 400
    assert "this mllama file is in a layout of Ollama's own, which llama.cpp can't load" in told["error"]
    assert "hf.co/ggml-org/gemma-3-4b-it-GGUF" in told["error"]


def test_a_projector_without_a_type_gets_one(daemon):
    entries = [gb.text("general.architecture", "clip"), gb.number("clip.has_vision_encoder", True, gb.BOOL)]
    projector = gb.build(entries, [gb.tensor("v.patch_embd.weight", (32,))], bytes(128))
    files = upload(daemon, {"tiny.gguf": gb.model(), "mmproj.gguf": projector})
    steps = [step["status"] for step in daemon.lines("/api/create", {"model": "llava", "files": files})]
    assert "translating llava for llama.cpp" in steps
    (layer,) = daemon.store.read_translation(Digest.parse(files["mmproj.gguf"]))
    made = check_file(daemon.store.open_blob(layer.digest))
    assert (layer.media_type, made.text("clip.projector_type")) == (PROJECTOR_TYPE, "mlp")
    assert [tensor.name for tensor in made.tensors] == ["v.patch_embd.weight"]


def test_a_file_that_can_not_be_translated_leaves_nothing_behind(tmp_path):
    entries = gb.model_entries(arch="gptoss")
    with running(tmp_path) as daemon:
        files = upload(daemon, {"m.gguf": gb.build(entries, gb.TENSORS, bytes(gb.DATA_BYTES))})
        daemon.store.root.joinpath("translations").write_text("in the way")
        steps = daemon.lines("/api/create", {"model": "m", "files": files})
        assert "error" in steps[-1]
        assert tree(daemon.store.root / "uploads") == set()
