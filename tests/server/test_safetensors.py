"""Models of Hugging Face's, from the uploaded folder to the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.names import ModelName
from ollamapy.store import load_model
from tests import gguf_builder as gb
from tests.convert.families import qwen_folder
from tests.convert.test_folder import files_of
from tests.server.conftest import running
from tests.server.test_split_models import ASK, create, upload
from tests.server.test_translations import answer
from tests.store.conftest import tree

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with running(tmp_path_factory.mktemp("safetensors")) as daemon:
        yield daemon


def folder(shared_models: Path, name: str) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_of(shared_models / "hf" / name).items()}


def say(daemon, model):
    return daemon.client.post("/api/generate", json={**ASK, "model": model}).json()["response"]


def test_a_folder_answers_as_the_file_that_others_made_of_it(real, shared_models):
    files = upload(real, folder(shared_models, "stories260K"))
    steps = [step["status"] for step in real.lines("/api/create", {"model": "made", "files": files})]
    assert steps[0] == "converting model"
    assert steps[-1] == "success"
    reference = upload(real, {"f16.gguf": (shared_models / "gguf" / "stories260K-f16.gguf").read_bytes()})
    assert create(real, "reference", reference)[0] == 200
    assert say(real, "made") == say(real, "reference")
    assert tree(real.store.root / "uploads") == set()


def test_a_folder_is_converted_and_quantized(real, shared_models):
    files = upload(real, folder(shared_models, "stories260K"))
    assert create(real, "small", files, quantize="q8_0") == (200, {"status": "success"})
    assert load_model(real.store, ModelName.parse("small")).config.file_type == "Q8_0"
    assert "little girl" in say(real, "small")


def test_an_adapter_of_peft_changes_the_stories(real, shared_models):
    files = upload(real, folder(shared_models, "stories260K"))
    adapter = upload(real, folder(shared_models, "stories260K-lora-robot"))
    assert create(real, "plain", files)[0] == 200
    assert create(real, "robot", None, **{"from": "plain"}, adapters=adapter) == (200, {"status": "success"})
    assert create(real, "both", files, adapters=adapter) == (200, {"status": "success"})
    assert say(real, "robot") == say(real, "both")
    assert "robot" in say(real, "robot")
    assert "robot" not in say(real, "plain")


def test_a_sentence_transformer_embeds_as_the_file_that_others_made_of_it(real, shared_models):
    assert create(real, "bert", upload(real, folder(shared_models, "glove25-bert")))[0] == 200
    reference = upload(real, {"b.gguf": (shared_models / "gguf" / "glove25-bert-f16.gguf").read_bytes()})
    assert create(real, "bert-reference", reference)[0] == 200
    ask = {"input": ["the cat sat on the mat", "a dog"]}
    made, expected = (
        real.client.post("/api/embed", json={**ask, "model": model}).json()["embeddings"]
        for model in ("bert", "bert-reference")
    )
    for ours, theirs in zip(made, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)  # the norms of the file were made of F32, the folder has F16


@pytest.mark.parametrize("version", [2, 3])
def test_a_qwen_in_two_files_has_the_logits_of_its_gguf_file(real, tmp_path, version):
    expected = qwen_folder(tmp_path / "hub", version).write(tmp_path / "reference.gguf")
    files = {name: path.read_bytes() for name, path in files_of(tmp_path / "hub").items()}
    assert create(real, "qwen", upload(real, files)) == (200, {"status": "success"})
    assert create(real, "qwen-reference", upload(real, {"r.gguf": expected.read_bytes()}))[0] == 200
    assert answer(real, "qwen") == answer(real, "qwen-reference")


def test_what_can_not_be_converted_is_a_400_and_leaves_nothing(real, shared_models):
    files = folder(shared_models, "stories260K")
    for changed, told in (
        ({"config.json": files["config.json"].replace(b"Llama", b"Mamba")}, "unsupported architecture"),
        ({"model.safetensors": files["model.safetensors"][:-1]}, "truncated safetensors"),
        ({"model.safetensors": b""}, "malformed safetensors"),
    ):
        status, answer = create(real, "bad", upload(real, files | changed))
        assert status == 400
        assert told in answer["error"]
        assert str(real.store.root) not in answer["error"]
    assert tree(real.store.root / "uploads") == set()


def test_files_of_two_kinds_are_refused(real, shared_models):
    files = upload(real, folder(shared_models, "stories260K") | {"tiny.gguf": gb.model()})
    status, answer = create(real, "mixed", files)
    assert (status, answer["error"]) == (400, "the files are GGUF and safetensors; send those of one kind")
