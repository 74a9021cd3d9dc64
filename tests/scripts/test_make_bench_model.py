from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_lib.model_file import BAN_WEIGHT, write_model
from bench_lib.shapes import SHAPES, Shape, tensor_type
from bench_lib.vocabulary import Vocabulary, read_vocabulary
from bench_lib.weights import WeightMaker, packed_bytes
from gguf import GGMLQuantizationType, GGUFReader, quants

from ollamapy.gguf import read_header

GENERATE = """
import json, sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], n_ctx=256, n_threads=1, verbose=False)
answer = llama.create_completion("one two three", max_tokens=48, temperature=1.0, seed=1)
json.dump({"usage": answer["usage"], "reason": answer["choices"][0]["finish_reason"]}, sys.stdout)
"""


@pytest.fixture(scope="module")
def gpt2_vocabulary(shared_models: Path) -> Vocabulary:
    return read_vocabulary(shared_models / "vocab" / "ggml-vocab-gpt-2.gguf")


@pytest.fixture(scope="module")
def tiny_model(gpt2_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "tiny.gguf"
    write_model(path, SHAPES["tiny"], gpt2_vocabulary, "Q8_0", seed=1)
    return path


def test_file_has_the_shape_that_was_asked_for(tiny_model: Path, gpt2_vocabulary: Vocabulary) -> None:
    header = read_header(tiny_model)
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    assert header.architecture == "qwen2"
    assert header.file_type == "Q8_0"
    assert shapes["output.weight"] == (64, len(gpt2_vocabulary.tokens))
    assert shapes["blk.1.ffn_up.weight"] == (64, 128)
    assert "blk.2.ffn_up.weight" not in shapes


def test_only_whole_text_tokens_can_be_drawn(tiny_model: Path, gpt2_vocabulary: Vocabulary) -> None:
    tensor = next(t for t in GGUFReader(tiny_model).tensors if t.name == "output.weight")
    marker_weights = quants.dequantize(tensor.data, tensor.tensor_type)[:, 0]
    banned = gpt2_vocabulary.banned
    assert banned[gpt2_vocabulary.tokens.index("<|endoftext|>")]
    assert not banned[gpt2_vocabulary.tokens.index("Ġthe")]
    assert np.allclose(marker_weights[banned], BAN_WEIGHT, atol=0.01)
    assert marker_weights[~banned].min() > -1


def test_the_same_seed_writes_the_same_file(tiny_model: Path, gpt2_vocabulary: Vocabulary, tmp_path: Path) -> None:
    write_model(tmp_path / "again.gguf", SHAPES["tiny"], gpt2_vocabulary, "Q8_0", seed=1)
    assert (tmp_path / "again.gguf").read_bytes() == tiny_model.read_bytes()


@pytest.mark.parametrize("file_type", ["Q8_0", "Q4_0", "F16", "Q4_K_M"])
@pytest.mark.model
def test_llama_cpp_answers_with_as_many_tokens_as_asked(
    file_type: str, gpt2_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    shape = Shape("llama", layers=2, width=256, heads=4, kv_heads=2, ffn_width=256, context_length=512)
    write_model(path, shape, gpt2_vocabulary, file_type, seed=2)
    done = subprocess.run([sys.executable, "-c", GENERATE, str(path)], capture_output=True, check=True, text=True)
    answer = json.loads(done.stdout)
    assert answer["reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 48


@pytest.mark.parametrize("type_name", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"])
def test_random_rows_have_the_deviation_that_was_asked_for(type_name: str) -> None:
    rows = WeightMaker(np.random.default_rng(3)).fresh(type_name, 64, 512, spread=0.05)
    values = quants.dequantize(rows, GGMLQuantizationType[type_name])
    assert values.shape == (64, 512)
    assert rows.nbytes == packed_bytes(type_name, 64, 512)
    assert values.std() == pytest.approx(0.05, rel=0.1)
    assert values.mean() == pytest.approx(0.0, abs=0.005)


def test_q4_k_m_keeps_some_matrices_finer() -> None:
    kinds = [tensor_type("Q4_K_M", "ffn_down", layer, 32) for layer in range(32)]
    assert kinds.count("Q6_K") == 16
    assert tensor_type("Q4_K_M", "attn_q", 0, 32) == "Q4_K"
    assert tensor_type("Q4_K_M", "output", 0, 1) == "Q6_K"
