"""Folders of Hugging Face's become the GGUF files that others made of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from ollamapy.convert.families import Config, rope_factors
from ollamapy.convert.folder import Conversion, convert_adapter, convert_model
from ollamapy.convert.safetensors import read_table
from ollamapy.convert.tokens import PRE_TOKENIZERS, byte_level, sentencepiece, wordpiece
from ollamapy.convert.write import write_file
from ollamapy.errors import InvalidFileError, UnsupportedError
from ollamapy.gguf import Header, check_file

Files = Mapping[str, Path]
Edit = Callable[[dict], None]


def files_of(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def write(made: Conversion, path: Path) -> Header:
    with path.open("wb") as target:
        write_file(made.values, made.tensors, target, lambda _: None)
    return check_file(path)


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def same_values(made: Header, reference: Header, without: tuple[str, ...] = ()) -> None:
    """All that the reference says is said the same, its description excepted."""
    kept = ("general.architecture", "general.type", "general.file_type")
    for key, value in reference.metadata.items():
        if key in without or (key.startswith("general.") and key not in kept):
            continue
        if hasattr(value, "offset"):
            assert made.array(key) == reference.array(key), key
        else:
            assert made.metadata[key] == value, key


@pytest.mark.parametrize(
    ("folder", "reference", "tolerance", "without"),
    [
        ("stories260K", "stories260K-f16.gguf", 0.0, ("tokenizer.ggml.eot_token_id", "tokenizer.ggml.unknown_token_id",
                                                 "tokenizer.ggml.add_space_prefix")),
        ("glove25-bert", "glove25-bert-f16.gguf", 1e-3, ()),  # whose norms were made of F32, not of the folder's F16
    ],
)  # fmt: skip
def test_a_model_is_what_others_made_of_it(
    shared_models: Path, tmp_path: Path, folder: str, reference: str, tolerance: float, without: tuple[str, ...]
) -> None:
    made = write(convert_model(files_of(shared_models / "hf" / folder)), tmp_path / "made.gguf")
    expected = shared_models / "gguf" / reference
    same_values(made, check_file(expected), without)
    ours, theirs = tensors(made.path), tensors(expected)
    assert set(ours) == set(theirs)
    for name, data in theirs.items():
        assert ours[name].dtype == data.dtype, name
        assert np.allclose(ours[name], data, rtol=tolerance, atol=0), name


def test_an_adapter_is_what_others_made_of_it(shared_models: Path, tmp_path: Path) -> None:
    base = check_file(shared_models / "gguf" / "stories260K-f32.gguf")
    files = files_of(shared_models / "hf" / "stories260K-lora-robot")
    made = write(convert_adapter(files, base), tmp_path / "made.gguf")
    expected = shared_models / "gguf" / "lora-robot-stories260K-f32.gguf"
    assert made.kind == "adapter"
    assert made.metadata["adapter.lora.alpha"] == 16.0
    ours, theirs = tensors(made.path), tensors(expected)
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], data) for name, data in theirs.items())


@pytest.fixture
def folder(shared_models: Path, tmp_path: Path) -> Path:
    """A copy of a model's folder, to be spoilt."""
    copy = tmp_path / "model"
    copy.mkdir()
    for name, path in files_of(shared_models / "hf" / "stories260K").items():
        (copy / name).write_bytes(path.read_bytes())
    return copy


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"architectures": ["Mamba"]}, r"'Mamba'; .*convert_hf_to_gguf", id="architecture"),
        pytest.param({"architectures": []}, "unsupported architecture ''", id="no architecture"),
        pytest.param({"quantization_config": {"bits": 4}}, "quantization_config in config.json", id="quantized"),
        pytest.param({"hidden_act": "relu"}, "hidden_act in config.json", id="activation"),
        pytest.param({"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling in config.json", id="yarn"),
        pytest.param({"num_attention_heads": 0}, "a size is missing, 0 or too large", id="no heads"),
        pytest.param({"num_attention_heads": 10**9}, "a size is missing, 0 or too large", id="many heads"),
        pytest.param({"num_attention_heads": 3}, "not of 3 heads", id="heads that do not fit"),
        pytest.param({"num_hidden_layers": 6}, "some tensors of the model are missing", id="a layer lacks"),
        pytest.param({"vocab_size": 100}, "the tokenizer has 512 tokens, but config.json says 100", id="few tokens"),
        pytest.param({"vocab_size": "x"}, "malformed config.json", id="no number"),
    ],
)  # fmt: skip
def test_what_can_not_be_converted_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    edit_json(folder / "config.json", **changes)
    with pytest.raises((InvalidFileError, UnsupportedError), match=message):
        convert_model(files_of(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.model"])
def test_a_file_that_lacks_is_named(folder: Path, name: str) -> None:
    files = files_of(folder)
    for gone in {name, "tokenizer.json"}:
        del files[gone]
    with pytest.raises(InvalidFileError, match="is missing; add it"):
        convert_model(files)


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x0a\xff\xff\xff\xff\xff", b"\xff" * 40, bytes(range(256))])
def test_a_damaged_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidFileError, match=r"malformed tokenizer.model"):
        sentencepiece(data, {})
    with pytest.raises(InvalidFileError):
        byte_level(data)


def test_a_byte_level_vocabulary_is_read() -> None:
    for pattern, pre in PRE_TOKENIZERS.items():
        split = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}}]}
        raw = {
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b", ["b", "a"]]},
            "added_tokens": [
                {"id": 4, "content": "<|end|>", "special": True},
                {"id": 5, "content": "<think>", "special": False},
            ],
            "pre_tokenizer": split,
        }
        found = byte_level(json.dumps(raw).encode())
        assert (found.pre, found.tokens) == (pre, ["a", "b", "ab", "[PAD3]", "<|end|>", "<think>"])
        assert (found.types, found.merges) == ([1, 1, 1, 5, 3, 4], ["a b", "b a"])
    raw["pre_tokenizer"] = {"type": "Whitespace"}
    with pytest.raises(UnsupportedError, match=r"convert_hf_to_gguf.py"):
        byte_level(json.dumps(raw).encode())


def test_words_of_a_vocabulary_may_be_any_characters() -> None:
    found = wordpiece("[PAD]\nthe\n##ing\n\u2028\n[unused0]\n".encode())
    assert found.tokens == ["[PAD]", "\u2581the", "ing", "\u2581\u2028", "[unused0]"]
    assert found.types == [3, 1, 1, 1, 1]


def test_low_rotary_frequencies_of_llama_3_are_stretched() -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 8192
    config = Config(hidden_size=4096, num_attention_heads=32, rope_theta=500000.0, rope_scaling=scaling)
    factors = rope_factors(config)
    assert factors is not None
    assert len(factors) == 64
    assert (factors[0], factors[-1]) == (1.0, 8.0)
    assert factors == sorted(factors)
    assert any(1 < factor < 8 for factor in factors)


def test_numbers_beyond_f16_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    offset = next(row.offset for row in read_table(path) if row.name == "model.embed_tokens.weight")
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = np.array([1e30], "<f4").tobytes()
    path.write_bytes(data)
    made = convert_model(files_of(folder))
    with pytest.raises(UnsupportedError, match="too large for F16"):
        write_file(made.values, made.tensors, io.BytesIO(), lambda _: None)
