"""The language models of Ollama's own layouts: what tells them, and what llama.cpp calls their parts.

Source: Ollama's llama/compat; the defaults are those of the models' configurations.
"""

from __future__ import annotations

from ollamapy.convert.draft import Draft
from ollamapy.gguf import Header

_VISION = ("v.", "mm.")
_EOT = 128009  # of Llama 3: <|eot_id|>
_END_OF_TEXT = 128001
_HEADER = 128006  # <|start_header_id|>
_LONG_CONTEXT = 131_072
_GEMMA3_KEYS = ("gemma3.mm.tokens_per_image", "gemma3.rope.global.freq_base", "gemma3.rope.local.freq_base",
                "tokenizer.ggml.add_padding_token", "tokenizer.ggml.add_unknown_token")  # fmt: skip


def is_gemma3(header: Header) -> bool:
    """Whether it is a Gemma 3 of Ollama's converter."""
    is_own = any(key in header.metadata for key in _GEMMA3_KEYS) or _has_tensors(header, *_VISION)
    lacks = "gemma3.attention.layer_norm_rms_epsilon" not in header.metadata
    return header.architecture == "gemma3" and header.kind == "model" and (is_own or lacks)


def gemma3(draft: Draft) -> None:
    """Name the rotary bases, add what is left out, and leave as many tokens as there are embeddings."""
    draft.copy("gemma3.rope.global.freq_base", "gemma3.rope.freq_base")
    draft.copy("gemma3.rope.local.freq_base", "gemma3.rope.freq_base_swa")
    draft.default("gemma3.attention.layer_norm_rms_epsilon", 1e-6)
    draft.default("gemma3.rope.freq_base", 1_000_000.0)
    draft.default("gemma3.rope.freq_base_swa", 10_000.0)
    if (draft.header.context_length or 0) >= _LONG_CONTEXT:
        draft.default("gemma3.rope.scaling.type", "linear")
        draft.default("gemma3.rope.scaling.factor", 8.0)
    embeddings = draft.tensor("token_embd.weight")
    if embeddings is not None:
        for key in ("tokens", "scores", "token_type"):
            draft.cut_array(f"tokenizer.ggml.{key}", embeddings.shape[-1])
    draft.keep_keys(lambda key: key not in _GEMMA3_KEYS)
    _drop_vision(draft, "gemma3")


def is_embeddinggemma(header: Header) -> bool:
    """Whether it is an EmbeddingGemma that calls itself a Gemma 3."""
    return header.architecture == "gemma3" and _has_tensors(header, "dense.0.weight")


def embeddinggemma(draft: Draft) -> None:
    """Call it gemma-embedding, and its dense layers as llama.cpp does."""
    _rename(draft, "gemma3", "gemma-embedding")
    own = ("gemma-embedding.attention.causal", "gemma-embedding.attention.sliding_window_pattern")
    draft.keep_keys(lambda key: key not in own)
    draft.default("gemma-embedding.rope.freq_base_swa", 10_000.0)
    for old, new in ((0, 2), (1, 3)):
        dense = draft.tensor(f"dense.{old}.weight")
        if dense is not None:
            draft.set(f"gemma-embedding.dense_{new}_feat_in", dense.shape[0])
            draft.set(f"gemma-embedding.dense_{new}_feat_out", dense.shape[1])
    draft.rename_tensors(("dense.0.", "dense_2."), ("dense.1.", "dense_3."))
    if draft.tensor("output_norm.weight") is None:
        names = {"norm.weight": "output_norm.weight"}
        draft.rename_tensors(*((old, new) for old, new in names.items() if draft.tensor(old) is not None))


def gptoss(draft: Draft) -> None:
    """Call it gpt-oss, and its tensors as llama.cpp does."""
    _rename(draft, "gptoss", "gpt-oss")
    experts = draft.tensor("blk.0.ffn_gate_exps.weight")
    if experts is not None:
        draft.default("gpt-oss.expert_feed_forward_length", experts.shape[1])
    draft.default("gpt-oss.rope.scaling.type", "yarn")
    draft.set("tokenizer.ggml.pre", "gpt-4o")
    draft.rename_tensors((".attn_out.", ".attn_output."), (".ffn_norm.", ".post_attention_norm."))
    for tensor in tuple(draft.tensors):
        if tensor.name.endswith(".attn_sinks"):
            draft.rename_tensors((tensor.name, f"{tensor.name}.weight"))


def olmo3(draft: Draft) -> None:
    """Call it olmo2, under which name llama.cpp loads both."""
    _rename(draft, "olmo3", "olmo2")


def qwen25vl(draft: Draft) -> None:
    """Call it qwen2vl, under which name llama.cpp loads both."""
    sections = [value for value in draft.header.array("qwen25vl.rope.mrope_section", 3) if isinstance(value, int)]
    _drop_vision(draft, "qwen25vl")
    _rename(draft, "qwen25vl", "qwen2vl")
    if len(sections) == 3:
        draft.set("qwen2vl.rope.dimension_sections", [*sections, 0])


def is_qwen3vl(header: Header) -> bool:
    """Whether it is a Qwen3-VL without the sections of its rotary positions."""
    is_one = header.architecture in ("qwen3vl", "qwen3vlmoe") and header.kind == "model"
    return is_one and f"{header.architecture}.rope.dimension_sections" not in header.metadata


def qwen3vl(draft: Draft) -> None:
    """Add the sections of its rotary positions, and how many layers look at the image again."""
    arch = draft.header.architecture
    draft.set(f"{arch}.rope.dimension_sections", [24, 20, 20, 0])
    draft.default(f"{arch}.n_deepstack_layers", len(draft.header.array(f"{arch}.vision.deepstack_visual_indexes")))
    _drop_vision(draft, arch)


def is_llama3(header: Header) -> bool:
    """Whether it is a Llama 3 that chats, and does not say how text is cut or takes the wrong token for its end."""
    if header.architecture != "llama" or header.vocabulary_size <= _EOT:
        return False
    lacks_pre = (header.text("tokenizer.ggml.pre") or "default") == "default"
    ends_wrong = header.integer("tokenizer.ggml.eos_token_id") == _END_OF_TEXT
    if not lacks_pre and not ends_wrong:
        return False
    tokens = header.array("tokenizer.ggml.tokens", _EOT + 1)
    template = header.chat_template() or ""
    chats = tokens[_HEADER] == "<|start_header_id|>" or "<|start_header_id|>" in template or "<|eot_id|>" in template
    return tokens[_EOT] == "<|eot_id|>" and chats


def llama3(draft: Draft) -> None:
    """Say how its text is cut, and which token ends a turn."""
    header = draft.header
    if (header.text("tokenizer.ggml.pre") or "default") == "default":
        draft.set("tokenizer.ggml.pre", "llama-bpe")
    for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"):
        if header.integer(key) in (None, _END_OF_TEXT):
            draft.set(key, _EOT)


def _has_tensors(header: Header, *prefixes: str) -> bool:
    return any(tensor.name.startswith(prefixes) for tensor in header.tensors)


def _rename(draft: Draft, old: str, new: str) -> None:
    draft.rename_keys(f"{old}.", f"{new}.")
    draft.set("general.architecture", new)


def _drop_vision(draft: Draft, arch: str) -> None:
    draft.keep_tensors(lambda name: not name.startswith(_VISION))
    draft.keep_keys(lambda key: not key.startswith((f"{arch}.vision.", f"{arch}.mm.")))
