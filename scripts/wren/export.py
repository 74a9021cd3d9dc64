"""Write a trained model as a Hugging Face folder and as GGUF files: f16, and Q8_0 by llama.cpp's own quantizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from wren.model import Shape
from wren.names import Arrays, to_gguf, to_hugging_face
from wren.tokens import Tokens, read_tokens

TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
AUTHOR = "the ollamapy authors"
DESCRIPTION = "A tiny instruct model, trained from scratch on generated text; it comes with ollamapy."
START, END = "<|endoftext|>", "<|im_end|>"
FIM = {"fim_pre": "<|fim_prefix|>", "fim_suf": "<|fim_suffix|>", "fim_mid": "<|fim_middle|>"}


def export(build: Path, shape: Shape, out: Path) -> Path:
    """Write `hf/`, `wren-f16.gguf` and `wren-q8_0.gguf` into a folder; returns the path of the last."""
    tokens = read_tokens(build / "tokenizer.json")
    weights = {
        name: array.astype(np.float16)
        for name, array in to_hugging_face(load_file(build / "weights.safetensors"), shape).items()
    }
    out.mkdir(parents=True, exist_ok=True)
    write_hugging_face(out / "hf", weights, shape, tokens)
    write_gguf(out / "wren-f16.gguf", weights, shape, tokens)
    quantize(out / "wren-f16.gguf", out / "wren-q8_0.gguf")
    return out / "wren-q8_0.gguf"


def write_hugging_face(folder: Path, weights: Arrays, shape: Shape, tokens: Tokens) -> None:
    """Write a folder that `transformers` loads as LlamaForCausalLM."""
    end, start = tokens.ids[END], tokens.ids[START]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_base,
        "rms_norm_eps": shape.epsilon,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": start,
    }
    generation = {"do_sample": False, "bos_token_id": start, "eos_token_id": [end, start], "pad_token_id": start}
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": shape.context,
        "eos_token": END,
        "bos_token": None,
        "pad_token": START,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config": config, "generation_config": generation, "tokenizer_config": tokenizer_config}
    for name, content in {**files, "tokenizer": tokens.source}.items():
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})


def write_gguf(path: Path, weights: Arrays, shape: Shape, tokens: Tokens) -> None:
    """Write an f16 GGUF file of architecture llama. Source: ggml docs/gguf.md, llama.cpp gguf-py/gguf/constants.py."""
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer, "Wren", "5M")
    writer.add_context_length(shape.context)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    add_tokenizer(writer, tokens)
    writer.add_chat_template(TEMPLATE)
    for name, array in weights.items():
        values = array if array.ndim == 2 else array.astype(np.float32)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            values = interleave(values, shape.head_size)
        writer.add_tensor(to_gguf(name), values)
    finish(writer)


def describe(writer: gguf.GGUFWriter, name: str, size: str) -> None:
    """Write who made what."""
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_basename(name.lower())
    writer.add_finetune("instruct")
    writer.add_size_label(size)
    writer.add_author(AUTHOR)
    writer.add_organization(AUTHOR)
    writer.add_license("mit")
    writer.add_license_name("MIT License")
    writer.add_description(DESCRIPTION)
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def finish(writer: gguf.GGUFWriter) -> None:
    """Write all that was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, tokens: Tokens) -> None:
    """Write the vocabulary, the merges and the special tokens."""
    kinds = {"normal": gguf.TokenType.NORMAL, "control": gguf.TokenType.CONTROL, "tag": gguf.TokenType.USER_DEFINED}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(list(tokens.ids))
    writer.add_token_types([kinds[kind] for kind in tokens.kinds])
    writer.add_token_merges(list(tokens.merges))
    writer.add_bos_token_id(tokens.ids[START])
    writer.add_eos_token_id(tokens.ids[END])
    writer.add_eot_token_id(tokens.ids[END])
    writer.add_pad_token_id(tokens.ids[START])
    for key, text in FIM.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", tokens.ids[text])
    writer.add_add_bos_token(False)


def interleave(weight: NDArray[Any], head_size: int) -> NDArray[Any]:
    """Reorder rows: llama.cpp rotates neighbouring pairs of a head, Hugging Face its two halves."""
    pairs = weight.reshape(-1, 2, head_size // 2, weight.shape[1]).swapaxes(1, 2)
    return np.ascontiguousarray(pairs.reshape(weight.shape))


def quantize(source: Path, target: Path) -> None:
    """Make a Q8_0 file; raises OSError if llama.cpp cannot."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, 2
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params):
        raise OSError(f"llama.cpp could not quantize {source}")
