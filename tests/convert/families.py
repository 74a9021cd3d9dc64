"""Tiny models of several families, each as llama.cpp lays it out and as Ollama's own engines did.

The weights of both are the same random numbers; what Ollama's layout has more is listed with each.
Source of the layouts: llama.cpp's `src/models`, gguf-py's `constants.py` and Ollama's llama/compat.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from ollamapy.convert.families import FAMILIES as TRANSFORMERS
from ollamapy.convert.tokens import PRE_TOKENIZERS

FAMILY = TRANSFORMERS["Qwen3ForCausalLM"]
Array = npt.NDArray[np.float32]
EMBD, HEADS, KV_HEADS, HEAD, FF, LAYERS = 64, 4, 2, 32, 96, 2
VISION, VISION_FF, VISION_LAYERS, PATCH = 64, 96, 2, 14
WORDS = 400  # bytes included


@dataclass
class File:
    """A GGUF file to be written."""

    values: dict[str, object] = field(default_factory=dict)
    tensors: dict[str, Array] = field(default_factory=dict)
    half: tuple[str, ...] = ()

    def write(self, path: Path) -> Path:
        """Write it; tensors whose name begins with one of `half` as F16."""
        writer = gguf.GGUFWriter(path, str(self.values["general.architecture"]))
        for key, value in self.values.items():
            if key != "general.architecture":
                _add(writer, key, value)
        for name, data in self.tensors.items():
            writer.add_tensor(name, data.astype(np.float16) if name.startswith(self.half or ("\0",)) else data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def renamed(self, names: Mapping[str, str], keys: Mapping[str, str]) -> File:
        """The same with parts of the names of tensors and of keys replaced, one pair after the other."""
        return File(
            {_replaced(key, keys): value for key, value in self.values.items()},
            {_replaced(name, names): data for name, data in self.tensors.items()},
            self.half,
        )


def _replaced(text: str, pairs: Mapping[str, str]) -> str:
    for old, new in pairs.items():
        text = text.replace(old, new, 1)
    return text


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    kinds = {str: "string", bool: "bool", int: "uint32", float: "float32"}
    if isinstance(value, list):
        writer.add_array(key, value)
    else:
        getattr(writer, f"add_{kinds[type(value)]}")(key, value)


class Numbers:
    """Random weights, the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> Array:
        """Numbers of that shape, slowest first, exact in F16."""
        return self._random.normal(0, 0.25, shape).astype(np.float16).astype(np.float32)

    def norm(self, size: int) -> Array:
        """Numbers near one."""
        return (1 + self._random.normal(0, 0.1, size)).astype(np.float32)


def text_values(arch: str, **more: object) -> dict[str, object]:
    """The sizes that all families have."""
    return {
        "general.architecture": arch,
        f"{arch}.context_length": 256,
        f"{arch}.embedding_length": EMBD,
        f"{arch}.block_count": LAYERS,
        f"{arch}.feed_forward_length": FF,
        f"{arch}.attention.head_count": HEADS,
        f"{arch}.attention.head_count_kv": KV_HEADS,
        f"{arch}.attention.key_length": HEAD,
        f"{arch}.attention.value_length": HEAD,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-6,
        **{key.replace("ARCH", arch): value for key, value in more.items()},
    }


def spm(words: int = WORDS) -> dict[str, object]:
    """A SentencePiece vocabulary of bytes and numbered words."""
    pieces = ["<unk>", "<bos>", "<eos>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [f"\u2581w{index}" for index in range(words - len(pieces))]
    types = [2, 3, 3, *[6] * 256] + [1] * (words - 259)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": [float(-index) for index in range(words)],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def bpe(pre: str, tokens: Iterable[str] | None = None) -> dict[str, object]:
    """A byte-level vocabulary of GPT-2's kind."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [chr(byte) for byte in visible] + [chr(256 + index) for index in range(len(hidden))]
    pieces = (
        letters + ["<|end|>"] + [f"word{index}" for index in range(WORDS - 257)] if tokens is None else list(tokens)
    )
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [3 if piece.startswith("<|") else 1 for piece in pieces],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 256,
    }


def attention(
    random: Numbers, block: str, *, norms: bool = False, biases: bool = False, head: int = HEAD
) -> dict[str, Array]:
    """The tensors of attention."""
    rows = {"attn_q": HEADS * head, "attn_k": KV_HEADS * head, "attn_v": KV_HEADS * head}
    found = {f"{block}.{name}.weight": random(count, EMBD) for name, count in rows.items()}
    found[f"{block}.attn_output.weight"] = random(EMBD, HEADS * head)
    found[f"{block}.attn_norm.weight"] = random.norm(EMBD)
    if norms:
        found |= {f"{block}.attn_{which}_norm.weight": random.norm(head) for which in "qk"}
    if biases:
        found |= {f"{block}.{name}.bias": random(count) for name, count in rows.items()}
    return found


def feed_forward(random: Numbers, block: str) -> dict[str, Array]:
    """The tensors of a gated feed-forward network."""
    return {
        f"{block}.ffn_norm.weight": random.norm(EMBD),
        f"{block}.ffn_gate.weight": random(FF, EMBD),
        f"{block}.ffn_up.weight": random(FF, EMBD),
        f"{block}.ffn_down.weight": random(EMBD, FF),
    }


def blocks(make: Callable[[str], dict[str, Array]]) -> dict[str, Array]:
    """The tensors of all layers."""
    return {name: data for index in range(LAYERS) for name, data in make(f"blk.{index}").items()}


def gemma3() -> tuple[File, File]:
    """Other names of the rotary bases, no epsilon, tokens without embeddings, and the vision encoder within."""
    random = Numbers(1)
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors |= blocks(
        lambda block: {
            **attention(random, block, norms=True),
            **feed_forward(random, block),
            f"{block}.post_attention_norm.weight": random.norm(EMBD),
            f"{block}.post_ffw_norm.weight": random.norm(EMBD),
        }
    )
    rope = {"ARCH.rope.freq_base": 1_000_000.0, "ARCH.rope.freq_base_swa": 10_000.0}
    new = File(text_values("gemma3", **{"ARCH.attention.sliding_window": 32}, **rope) | spm(), tensors)
    old = new.renamed({}, {".rope.freq_base_swa": ".rope.local.freq_base", ".rope.freq_base": ".rope.global.freq_base"})
    del old.values["gemma3.attention.layer_norm_rms_epsilon"]
    old.values |= spm(WORDS + 1) | {"gemma3.mm.tokens_per_image": 4, **vision_values("gemma3", image_size=56)}
    old.tensors |= gemma3_vision(random)
    old.half = ("v.patch", "v.pos", "mm.mm_input")
    return new, old


def vision_values(arch: str, **more: object) -> dict[str, object]:
    """The sizes of a vision encoder within a file."""
    sizes = {
        "block_count": VISION_LAYERS, "embedding_length": VISION, "feed_forward_length": VISION_FF,
        "patch_size": PATCH, "num_channels": 3, "attention.head_count": 2, "attention.layer_norm_epsilon": 1e-6,
    }  # fmt: skip
    return {f"{arch}.vision.{key}": value for key, value in (sizes | more).items()}


def gemma3_vision(random: Numbers) -> dict[str, Array]:
    """Gemma 3's encoder in Ollama's names."""
    found = {
        "v.patch_embedding.weight": random(VISION, 3, PATCH, PATCH),
        "v.patch_embedding.bias": random(VISION),
        "v.position_embedding.weight": random(16, VISION),
        "v.post_layernorm.weight": random.norm(VISION),
        "v.post_layernorm.bias": random(VISION),
        "mm.mm_input_projection.weight": random(VISION, EMBD),
        "mm.mm_soft_emb_norm.weight": random.norm(VISION),
    }
    for index in range(VISION_LAYERS):
        block = f"v.blk.{index}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found |= {f"{block}.{name}.weight": random(VISION, VISION), f"{block}.{name}.bias": random(VISION)}
        for norm in ("layer_norm1", "layer_norm2"):
            found |= {f"{block}.{norm}.weight": random.norm(VISION), f"{block}.{norm}.bias": random(VISION)}
        found |= {f"{block}.mlp.fc1.weight": random(VISION_FF, VISION), f"{block}.mlp.fc1.bias": random(VISION_FF)}
        found |= {f"{block}.mlp.fc2.weight": random(VISION, VISION_FF), f"{block}.mlp.fc2.bias": random(VISION)}
    return found


def gptoss() -> tuple[File, File]:
    """Another name of the architecture, of the attention's output, of its sinks and of the second norm."""
    random, experts = Numbers(2), 4
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors["output.weight"] = random(WORDS, EMBD)
    tensors |= blocks(
        lambda block: {
            **attention(random, block, biases=True),
            f"{block}.attn_output.bias": random(EMBD),
            f"{block}.attn_sinks.weight": random(HEADS),
            f"{block}.post_attention_norm.weight": random.norm(EMBD),
            f"{block}.ffn_gate_inp.weight": random(experts, EMBD),
            f"{block}.ffn_gate_inp.bias": random(experts),
            f"{block}.ffn_gate_exps.weight": random(experts, FF, EMBD),
            f"{block}.ffn_gate_exps.bias": random(experts, FF),
            f"{block}.ffn_up_exps.weight": random(experts, FF, EMBD),
            f"{block}.ffn_up_exps.bias": random(experts, FF),
            f"{block}.ffn_down_exps.weight": random(experts, EMBD, FF),
            f"{block}.ffn_down_exps.bias": random(experts, EMBD),
        }
    )
    more = {
        "ARCH.expert_count": experts, "ARCH.expert_used_count": 2, "ARCH.expert_feed_forward_length": FF,
        "ARCH.attention.sliding_window": 32, "ARCH.rope.freq_base": 150_000.0, "ARCH.rope.scaling.type": "yarn",
        "ARCH.rope.scaling.factor": 32.0, "ARCH.rope.scaling.original_context_length": 64,
    }  # fmt: skip
    new = File(text_values("gpt-oss", **more) | bpe("gpt-4o"), tensors)
    names = {".attn_output.": ".attn_out.", ".attn_sinks.weight": ".attn_sinks", ".post_attention_norm.": ".ffn_norm."}
    old = new.renamed(names, {"gpt-oss.": "gptoss."})
    for key in ("gptoss.expert_feed_forward_length", "gptoss.rope.scaling.type"):
        del old.values[key]
    old.values |= {"general.architecture": "gptoss", "tokenizer.ggml.pre": "default"}
    return new, old


def qwen25vl() -> tuple[File, File]:
    """Another name of the architecture, three sections, and the vision encoder within."""
    random = Numbers(3)
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    head = EMBD // HEADS
    tensors |= blocks(lambda block: attention(random, block, biases=True, head=head) | feed_forward(random, block))
    sizes = {f"ARCH.attention.{which}_length": head for which in ("key", "value")}
    new = File(
        text_values("qwen2vl", **{"ARCH.rope.dimension_sections": [4, 2, 2, 0]}, **sizes) | bpe("qwen2"), tensors
    )
    old = new.renamed({}, {"qwen2vl.": "qwen25vl.", "rope.dimension_sections": "rope.mrope_section"})
    old.values |= {"general.architecture": "qwen25vl", "qwen25vl.rope.mrope_section": [4, 2, 2]}
    old.values |= vision_values("qwen25vl", spatial_merge_size=2, window_size=112, fullatt_block_indexes=[1])
    del old.values["qwen25vl.vision.feed_forward_length"]
    old.tensors |= qwen25vl_vision(random)
    old.half = ("v.patch",)
    return new, old


def qwen25vl_vision(random: Numbers) -> dict[str, Array]:
    """Qwen2.5-VL's encoder in Ollama's names."""
    found = {f"v.patch_embd_{frame}.weight": random(VISION, 3, PATCH, PATCH) for frame in (0, 1)}
    found |= {
        "v.merger.ln_q.weight": random.norm(VISION),
        "v.merger.mlp.0.weight": random(4 * VISION, 4 * VISION),
        "v.merger.mlp.0.bias": random(4 * VISION),
        "v.merger.mlp.2.weight": random(EMBD, 4 * VISION),
        "v.merger.mlp.2.bias": random(EMBD),
    }
    for index in range(VISION_LAYERS):
        block = f"v.blk.{index}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            found |= {f"{block}.{name}.weight": random(VISION, VISION), f"{block}.{name}.bias": random(VISION)}
        found |= {f"{block}.{norm}.weight": random.norm(VISION) for norm in ("ln1", "ln2")}
        for name, rows, columns in (
            ("gate", VISION_FF, VISION),
            ("up", VISION_FF, VISION),
            ("down", VISION, VISION_FF),
        ):
            found |= {f"{block}.ffn_{name}.weight": random(rows, columns), f"{block}.ffn_{name}.bias": random(rows)}
    return found


def qwen3vl() -> tuple[File, File]:
    """No sections, and the vision encoder within, whose matrices are cut in other ways."""
    random = Numbers(4)
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    # the sections that are given to all of them are those of heads of 128
    tensors |= blocks(lambda block: attention(random, block, norms=True, head=128) | feed_forward(random, block))
    sizes = {f"ARCH.attention.{which}_length": 128 for which in ("key", "value")}
    values = text_values("qwen3vl", **{"ARCH.rope.freq_base": 5_000_000.0}, **sizes) | bpe("qwen2")
    own = {"qwen3vl.rope.dimension_sections": [24, 20, 20, 0], "qwen3vl.n_deepstack_layers": 1}
    more = vision_values("qwen3vl", spatial_merge_size=2, temporal_patch_size=2, deepstack_visual_indexes=[1])
    del more["qwen3vl.vision.feed_forward_length"]
    old = File(values | more, tensors | qwen3vl_vision(random), ("v.patch_embed.weight", "v.blk.0.attn_v.weight"))
    return File(values | own, tensors), old


def qwen3vl_vision(random: Numbers) -> dict[str, Array]:
    """Qwen3-VL's encoder in Ollama's names; the frames of a patch lie inside, channels and outputs together outside."""
    found = {
        "v.patch_embed.weight": random(VISION * 3, 2, PATCH, PATCH),
        "v.patch_embed.bias": random(VISION),
        "v.pos_embed.weight": random(16, VISION),
    }
    for merger, size in (("v.merger", VISION), ("v.deepstack_merger.0", 4 * VISION)):
        found |= {f"{merger}.norm.weight": random.norm(size), f"{merger}.norm.bias": random(size)}
        for name, rows in (("linear_fc1", 4 * VISION), ("linear_fc2", EMBD)):
            found |= {f"{merger}.{name}.weight": random(rows, 4 * VISION), f"{merger}.{name}.bias": random(rows)}
    for index in range(VISION_LAYERS):
        block = f"v.blk.{index}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            found |= {f"{block}.{name}.weight": random(VISION, VISION), f"{block}.{name}.bias": random(VISION)}
        for norm in ("norm1", "norm2"):
            found |= {f"{block}.{norm}.weight": random.norm(VISION), f"{block}.{norm}.bias": random(VISION)}
        for name, rows, columns in (("linear_fc1", VISION_FF, VISION), ("linear_fc2", VISION, VISION_FF)):
            found |= {f"{block}.mlp.{name}.weight": random(rows, columns), f"{block}.mlp.{name}.bias": random(rows)}
    return found


def olmo3() -> tuple[File, File]:
    """Another name of the architecture."""
    random = Numbers(5)
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors["output.weight"] = random(WORDS, EMBD)
    for index in range(LAYERS):
        block = f"blk.{index}"
        tensors |= attention(random, block, head=EMBD // HEADS) | feed_forward(random, block)
        for dropped in ("attn_norm", "ffn_norm"):
            del tensors[f"{block}.{dropped}.weight"]
        tensors[f"{block}.attn_q_norm.weight"] = random.norm(EMBD)
        tensors[f"{block}.attn_k_norm.weight"] = random.norm(EMBD // 2)
        tensors |= {f"{block}.{name}.weight": random.norm(EMBD) for name in ("post_attention_norm", "post_ffw_norm")}
    sizes = {f"ARCH.attention.{which}_length": EMBD // HEADS for which in ("key", "value")}
    new = File(text_values("olmo2", **sizes) | bpe("gpt-4o"), tensors)
    old = new.renamed({}, {"olmo2.": "olmo3."})
    old.values["general.architecture"] = "olmo3"
    return new, old


def llama3() -> tuple[File, File]:
    """No word on how text is cut, and the end of a text for that of a turn."""
    random, count = Numbers(6), 128_256
    tokens = [str(piece) for piece in bpe("x")["tokenizer.ggml.tokens"]]  # type: ignore[attr-defined]
    tokens += [f"filler{index}" for index in range(count - len(tokens))]
    for number, text in ((128_000, "<|begin_of_text|>"), (128_001, "<|end_of_text|>"), (128_006, "<|start_header_id|>"),
                         (128_009, "<|eot_id|>")):  # fmt: skip
        tokens[number] = text
    tensors = {"token_embd.weight": random(count, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors |= blocks(lambda block: attention(random, block) | feed_forward(random, block))
    values = text_values("llama", **{"ARCH.rope.dimension_count": HEAD}) | bpe("llama-bpe", tokens)
    right = {"tokenizer.ggml.eos_token_id": 128_009, "tokenizer.ggml.eot_token_id": 128_009}
    old = File(values | {"tokenizer.ggml.eos_token_id": 128_001}, tensors, ("token_embd",))
    del old.values["tokenizer.ggml.pre"]
    return File(values | right, tensors, ("token_embd",)), old


def embeddinggemma() -> tuple[File, File]:
    """The name of another architecture, and other names of its dense layers."""
    random = Numbers(7)
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors |= {"dense_2.weight": random(2 * EMBD, EMBD), "dense_3.weight": random(EMBD, 2 * EMBD)}
    tensors |= blocks(
        lambda block: {
            **attention(random, block, norms=True),
            **feed_forward(random, block),
            f"{block}.post_attention_norm.weight": random.norm(EMBD),
            f"{block}.post_ffw_norm.weight": random.norm(EMBD),
        }
    )
    more = {
        "ARCH.attention.sliding_window": 32, "ARCH.rope.freq_base": 1_000_000.0, "ARCH.pooling_type": 1,
        "ARCH.rope.freq_base_swa": 10_000.0, "ARCH.dense_2_feat_in": EMBD, "ARCH.dense_2_feat_out": 2 * EMBD,
        "ARCH.dense_3_feat_in": 2 * EMBD, "ARCH.dense_3_feat_out": EMBD,
    }  # fmt: skip
    new = File(text_values("gemma-embedding", **more) | spm(), tensors)
    names = {"dense_2.": "dense.0.", "dense_3.": "dense.1."}
    old = new.renamed(names, {"gemma-embedding.": "gemma3."})
    old.values = {key: value for key, value in old.values.items() if "dense_" not in key and "_swa" not in key}
    old.values |= {"general.architecture": "gemma3", "gemma3.attention.causal": False}
    return new, old


FAMILIES = {make.__name__: make for make in (gemma3, gptoss, qwen25vl, qwen3vl, olmo3, llama3, embeddinggemma)}


def qwen_folder(folder: Path, version: int) -> File:
    """Write a tiny Qwen2 or Qwen3 as transformers has it, in two safetensors files; returns it as llama.cpp has it."""
    random, head, arch = Numbers(10 + version), EMBD // HEADS, f"qwen{version}"
    tensors = {"token_embd.weight": random(WORDS, EMBD), "output_norm.weight": random.norm(EMBD)}
    tensors["output.weight"] = random(WORDS, EMBD)
    options = {"biases": version == 2, "norms": version == 3, "head": head}
    tensors |= blocks(lambda block: attention(random, block, **options) | feed_forward(random, block))
    sizes = {f"ARCH.attention.{which}_length": head for which in ("key", "value")}
    vocabulary = bpe("qwen2")
    new = File(text_values(arch, **sizes, **{"ARCH.rope.freq_base": 10_000.0}) | vocabulary, tensors, ("\0",))
    new.half = tuple(name for name, data in tensors.items() if data.ndim > 1)
    names = {ours: theirs for table in (FAMILY.inside, FAMILY.outside) for theirs, ours in table.items()}
    folder.mkdir()
    theirs = {_hub_name(name, names): data for name, data in tensors.items()}
    for number in (0, 1):
        _write_safetensors(folder / f"model-{number}.safetensors", dict(list(theirs.items())[number::2]))
    config = {
        "architectures": [f"Qwen{version}ForCausalLM"], "vocab_size": WORDS, "hidden_size": EMBD, "head_dim": head,
        "intermediate_size": FF, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_act": "silu",
        "num_key_value_heads": KV_HEADS, "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "eos_token_id": 256,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(vocabulary)))
    return new


def _hub_name(name: str, names: Mapping[str, str]) -> str:
    base, _, part = name.rpartition(".")
    if not base.startswith("blk."):
        return f"{names[base]}.{part}"
    _, block, inner = base.split(".", 2)
    return f"model.layers.{block}.{names[inner]}.{part}"


def _tokenizer(vocabulary: Mapping[str, object]) -> dict[str, object]:
    tokens: list[str] = vocabulary["tokenizer.ggml.tokens"]  # type: ignore[assignment]
    pattern = next(text for text, name in PRE_TOKENIZERS.items() if name == "qwen2")
    special = [{"id": i, "content": text, "special": True} for i, text in enumerate(tokens) if text.startswith("<|")]
    words = {text: index for index, text in enumerate(tokens)}
    return {
        "model": {"type": "BPE", "vocab": words, "merges": vocabulary["tokenizer.ggml.merges"]},
        "added_tokens": special,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}},
    }


def _write_safetensors(path: Path, tensors: Mapping[str, Array]) -> None:
    table, data = {}, b""
    for name, numbers in tensors.items():
        start, data = len(data), data + numbers.astype("<f4").tobytes()
        table[name] = {"dtype": "F32", "shape": list(numbers.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
