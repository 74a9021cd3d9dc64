from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ollamapy.errors import ManifestError, ModelNotFoundError, UnsupportedError
from ollamapy.names import ModelName
from ollamapy.store import (
    ADAPTER_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    PARAMS_TYPE,
    PROJECTOR_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    WEIGHTS_TYPE,
    ModelConfig,
    Store,
    encode_config,
    load_model,
    read_config,
)
from ollamapy.types import Message, Options
from tests import gguf_builder as gb
from tests.store.conftest import MakeModel

NAME = ModelName.parse("tiny")
WEIGHTS = (WEIGHTS_TYPE, gb.model())


def test_reads_every_layer_of_a_model(store: Store, make_model: MakeModel) -> None:
    stored = make_model(
        layers=(
            WEIGHTS,
            (ADAPTER_TYPE, b"adapter"),
            (PROJECTOR_TYPE, b"projector"),
            (TEMPLATE_TYPE, b"{{ .Prompt }}"),
            (SYSTEM_TYPE, "Sing, wren — sing".encode()),
            (PARAMS_TYPE, b'{"temperature":0.5,"stop":["a","b"],"num_ctx":512}\n'),
            (MESSAGES_TYPE, b'[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]'),
            (LICENSE_TYPE, b"MIT"),
            (LICENSE_TYPE, b"Apache"),
            ("application/vnd.ollama.image.embed", b"ignored"),
        ),
    )
    model = load_model(store, ModelName.parse("TINY"))
    assert (model.name, model.digest, model.modified_at) == (stored.name, stored.digest, stored.modified_at)
    assert model.size == stored.manifest.size
    assert model.weights == store.open_blob(model.weights_digest)
    assert [path.read_bytes() for path in (*model.adapters, *model.projectors)] == [b"adapter", b"projector"]
    assert (model.template, model.system) == ("{{ .Prompt }}", "Sing, wren — sing")
    assert model.options == Options(temperature=0.5, stop=("a", "b"), num_ctx=512)
    assert model.messages == (Message("user", "hi"), Message("assistant", "ho"))
    assert model.licenses == ("MIT", "Apache")
    assert len(model.layers) == 10
    assert (model.config.model_family, model.header().architecture) == ("llama", "llama")


def test_a_model_of_weights_alone_has_nothing_else(store: Store, make_model: MakeModel) -> None:
    make_model()
    model = load_model(store, NAME)
    assert (model.template, model.system, model.messages, model.licenses) == (None, "", (), ())
    assert (model.adapters, model.projectors, model.options) == ((), (), Options())


def test_the_old_name_of_templates_is_understood(store: Store, make_model: MakeModel) -> None:
    make_model(layers=(WEIGHTS, ("application/vnd.ollama.image.prompt", b"old")))
    assert load_model(store, NAME).template == "old"


def test_a_parameter_out_of_range_is_left_out_and_the_others_stay(
    store: Store, make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    make_model(layers=(WEIGHTS, (PARAMS_TYPE, b'{"top_p":7,"top_k":5,"tfs_z":1}')))
    with caplog.at_level(logging.WARNING):
        assert load_model(store, NAME).options == Options(top_k=5)
    assert "top_p" in caplog.text


def test_an_unknown_model_is_not_found(store: Store) -> None:
    with pytest.raises(ModelNotFoundError):
        load_model(store, NAME)


@pytest.mark.parametrize(
    ("config", "reason"),
    [(ModelConfig(remote_host="https://ollama.com"), "remote host"), (ModelConfig(), "no GGUF weights")],
)
def test_a_model_without_weights_is_unsupported(
    config: ModelConfig, reason: str, store: Store, make_model: MakeModel
) -> None:
    stored = make_model(layers=(), config=encode_config(config))
    with pytest.raises(UnsupportedError, match=reason):
        load_model(store, NAME)
    assert read_config(store, stored) == config


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (PARAMS_TYPE, b"[]"), (PARAMS_TYPE, b"{"), (PARAMS_TYPE, b""), (PARAMS_TYPE, b'{"a":' + b"[" * 100_000),
        (MESSAGES_TYPE, b"{}"), (MESSAGES_TYPE, b'[{"content":"x"}]'), (MESSAGES_TYPE, b'[{"role":"x","content":[]}]'),
    ],
)  # fmt: skip
def test_a_malformed_layer_is_told(media_type: str, content: bytes, store: Store, make_model: MakeModel) -> None:
    make_model(layers=(WEIGHTS, (media_type, content)))
    with pytest.raises(ManifestError, match="model 'tiny:latest' is damaged"):
        load_model(store, NAME)


@pytest.mark.parametrize("config", [b"", b"x", b"[]", b'{"model_family":5}', b'{"capabilities":"x"}', b"\xff"])
def test_a_malformed_config_is_told(config: bytes, store: Store, make_model: MakeModel) -> None:
    make_model(config=config)
    with pytest.raises(ManifestError, match=r"model 'tiny:latest' is damaged \(its configuration: "):
        load_model(store, NAME)


def test_t36_a_missing_or_damaged_blob_is_told_without_its_path(store: Store, make_model: MakeModel) -> None:
    make_model()
    path = load_model(store, NAME).weights
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ManifestError, match=r"damaged.*create or pull it again") as damaged:
        load_model(store, NAME)
    path.unlink()
    with pytest.raises(ManifestError, match=r"lacks the blob sha256:.*create or pull it again") as missing:
        load_model(store, NAME)
    for caught in (damaged, missing):
        assert str(store.root) not in caught.value.message


def test_t21_weights_behind_a_link_are_not_used(store: Store, make_model: MakeModel, tmp_path: Path) -> None:
    make_model()
    path = load_model(store, NAME).weights
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(ManifestError, match="lacks the blob"):
        load_model(store, NAME)


def test_a_config_is_written_as_ollama_writes_it() -> None:
    config = ModelConfig(
        model_format="gguf",
        model_family="llama",
        model_families=("llama",),
        model_type="5.11M",
        file_type="Q8_0",
        capabilities=("completion",),
        context_length=512,
    )
    assert encode_config(config) == (
        b'{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"5.11M",'
        b'"file_type":"Q8_0","capabilities":["completion"],"context_length":512,"architecture":"amd64","os":"linux"}\n'
    )
    assert json.loads(encode_config(ModelConfig()))["model_families"] is None
