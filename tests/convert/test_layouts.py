from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.convert.layouts import check_layout, find_layout
from ollamapy.errors import UnsupportedError
from ollamapy.gguf import read_header
from tests import gguf_builder as gb
from tests.gguf.test_splits import part


def layout_of(folder: Path, arch: str, *names: str, extra: tuple[bytes, ...] = ()) -> object:
    path = folder / "file.gguf"
    tensors = [gb.tensor(name, (32, 8), 1024 * index) for index, name in enumerate(["token_embd.weight", *names])]
    path.write_bytes(gb.build([*gb.model_entries(arch=arch), *extra], tensors, bytes(1024 * len(tensors))))
    return find_layout(read_header(path))


@pytest.mark.parametrize(
    ("arch", "names", "instead"),
    [
        ("mllama", [], "gemma-3-4b-it-GGUF"),
        ("gptoss", ["blk.0.attn_qkv.weight"], "gpt-oss-20b-GGUF"),
        ("glmocr", [], "GLM-OCR-GGUF"),
        ("glm4moelite", [], "GLM-4.7-Flash-GGUF"),
        ("gemma4", ["v.patch_embd.weight"], "gemma-4-E4B-it-GGUF"),
        ("mistral3", ["mm.1.weight"], "Mistral-Small"),
        ("qwen35", ["v.blk.0.attn_q.weight"], "Qwen3.5-4B-GGUF"),
        ("llama4", ["v.blk.0.attn_q.weight"], "Llama-4-Scout"),
        ("lfm2", ["output_norm.weight"], "LFM2-1.2B-GGUF"),
    ],
)
def test_what_nothing_can_be_made_of_is_refused_with_what_loads(
    tmp_path: Path, arch: str, names: list[str], instead: str
) -> None:
    with pytest.raises(UnsupportedError, match=rf"this {arch} file .* such as hf.co/\S+{instead}"):
        check_layout(layout_of(tmp_path, arch, *names))  # type: ignore[arg-type]


@pytest.mark.parametrize("arch", ["llama", "qwen2", "gemma4", "mistral3", "qwen35", "llama4", "gpt-oss", "bert"])
def test_what_llama_cpp_made_is_left_alone(tmp_path: Path, arch: str) -> None:
    assert layout_of(tmp_path, arch) is None


def test_a_split_model_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "part.gguf").write_bytes(part(0).replace(b"llama", b"gemma"))
    assert find_layout(read_header(tmp_path / "part.gguf")) is None


def test_a_projector_of_llava_gets_the_type_that_it_has(tmp_path: Path) -> None:
    entries = [gb.text("general.architecture", "clip"), gb.number("clip.has_vision_encoder", True, gb.BOOL)]
    tensors = [gb.tensor("v.patch_embd.weight", (32,))]
    path = tmp_path / "mmproj.gguf"
    path.write_bytes(gb.build(entries, tensors, bytes(128)))
    layout = find_layout(read_header(path))
    assert layout is not None
    assert (layout.name, layout.weights is None, layout.projector is not None) == ("llava", True, True)
    path.write_bytes(gb.build([*entries, gb.text("clip.projector_type", "mlp")], tensors, bytes(128)))
    assert find_layout(read_header(path)) is None
