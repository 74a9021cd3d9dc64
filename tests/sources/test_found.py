from __future__ import annotations

import os
from pathlib import Path

import pytest

from ollamapy.config import SourceFolders, source_folders
from ollamapy.names import ModelName
from ollamapy.sources import Found, find_models
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE, Layer, Manifest, ModelConfig, Store, encode_config
from tests import gguf_builder as gb
from tests.gguf.test_splits import part
from tests.server.test_split_models import PROJECTOR

Q4 = gb.model([gb.number("general.file_type", 15)], without=["general.file_type"])
Q8 = gb.model([gb.number("general.file_type", 7)], without=["general.file_type"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def folders(home: Path) -> SourceFolders:
    return source_folders({"HOME": str(home)})


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def find(folders: SourceFolders) -> dict[str, Found]:
    return {str(model.name): model for model in find_models(folders, Path("/nowhere"))}


def test_nothing_is_found_where_nothing_is(folders: SourceFolders) -> None:
    assert find(folders) == {}


def test_the_cache_of_hugging_face_is_read_through_its_links(home: Path, folders: SourceFolders) -> None:
    repository = home / ".cache/huggingface/hub/models--some--tiny-GGUF"
    blob = put(repository / "blobs/abc", Q4)
    for revision in ("old", "new"):
        (repository / "snapshots" / revision).mkdir(parents=True)
    for revision, name in (("old", "old-Q8_0.gguf"), ("new", "tiny-Q4_K_M.gguf")):
        (repository / "snapshots" / revision / name).symlink_to(os.path.relpath(blob, repository / "snapshots/x"))
    put(repository / "refs/main", b"new")
    (repository / "snapshots/new/gone.gguf").symlink_to("../../blobs/gone")
    (model,) = find(folders).values()
    assert (str(model.name), model.program) == ("hf.co/some/tiny-GGUF:Q4_K_M", "Hugging Face")
    assert (model.size_bytes, [path.name for path in model.files]) == (len(Q4), ["tiny-Q4_K_M.gguf"])


def test_a_revision_that_leads_elsewhere_is_not_followed(home: Path, folders: SourceFolders) -> None:
    repository = home / ".cache/huggingface/hub/models--some--tiny"
    put(home / "private.gguf", Q4)
    (repository / "snapshots").mkdir(parents=True)
    put(repository / "refs/main", b"../../../../..")
    assert find(folders) == {}


def test_parts_and_projectors_belong_to_their_model(home: Path, folders: SourceFolders) -> None:
    repository = home / ".lmstudio/models/lm.studio/Tiny Model-GGUF"
    parts = [put(repository / f"m-0000{number + 1}-of-00002.gguf", part(number)) for number in (0, 1)]
    projector = put(repository / "mmproj-m-f16.gguf", PROJECTOR)
    put(repository / "lacking-00001-of-00002.gguf", part(0))
    put(repository / "unfinished.gguf", b"GGUF")
    (model,) = find(folders).values()
    assert str(model.name) == "lm-studio/Tiny-Model-GGUF:F32"
    assert model.files == (*parts, projector)
    assert model.size_bytes == sum(path.stat().st_size for path in model.files)


def test_llama_cpps_names_tell_the_repository(home: Path, folders: SourceFolders) -> None:
    cache = home / ".cache/llama.cpp"
    weights = put(cache / "ggml-org_gemma-GGUF_gemma-Q4_K_M.gguf", Q4)
    projector = put(cache / "ggml-org_gemma-GGUF_mmproj-gemma.gguf", PROJECTOR)
    put(cache / "plain.gguf", Q8)
    found = find(folders)
    assert found["hf.co/ggml-org/gemma-GGUF:Q4_K_M"].files == (weights, projector)
    assert found["plain:Q8_0"].program == "llama.cpp"


def test_two_models_of_one_name_are_told_apart_by_their_files(home: Path, folders: SourceFolders) -> None:
    repository = home / ".lmstudio/models/me/tiny"
    put(repository / "a.gguf", Q4)
    put(repository / "b.gguf", Q4)
    assert list(find(folders)) == ["me/tiny:b", "me/tiny:Q4_K_M"]


def test_models_of_a_store_of_ollama_keep_their_names(home: Path, folders: SourceFolders) -> None:
    store = Store(home / ".ollama/models")
    config = encode_config(ModelConfig(model_format="gguf", model_family="llama"))
    layers = (Layer(WEIGHTS_TYPE, store.put_bytes(Q4), len(Q4)),)
    manifest = Manifest(Layer(CONFIG_TYPE, store.put_bytes(config), len(config)), layers)
    store.write_manifest(ModelName.parse("llama9:1b"), manifest)
    (model,) = find(folders).values()
    assert (str(model.name), model.program, model.store) == ("llama9:1b", "Ollama", store.root)
    assert find_models(folders, store.root) == []


def test_the_variables_of_the_other_programs_count(tmp_path: Path) -> None:
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path}/moved\n")
    environ = {"HOME": str(tmp_path), "HF_HOME": "/hf", "LLAMA_CACHE": "/llama"}
    folders = source_folders(environ)
    assert (folders.hub, folders.llama_cpp) == (Path("/hf/hub"), Path("/llama"))
    assert folders.lm_studio[0] == tmp_path / "moved" / "models"
    assert source_folders({**environ, "HF_HUB_CACHE": "/hub"}).hub == Path("/hub")
