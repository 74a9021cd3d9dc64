"""The vision encoders within files of Ollama's own layouts, as projector files of llama.cpp.

Source: Ollama's llama/compat, llama.cpp's tools/mtmd/clip.cpp; the defaults are those of the models' configurations.
"""

from __future__ import annotations

import math

from ollamapy.convert.draft import Draft, MadeTensor

_HALVES = (0.5, 0.5, 0.5)
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_SIZES = ("attention.head_count", "attention.layer_norm_epsilon", "block_count", "embedding_length",
          "feed_forward_length", "image_size", "image_mean", "image_std", "num_channels", "patch_size",
          "spatial_merge_size", "temporal_patch_size", "window_size")  # fmt: skip


def llava_projector(draft: Draft) -> None:
    """Say that it is the plain projector, as those without a type are."""
    draft.set("clip.projector_type", "mlp")


def gemma3_projector(draft: Draft) -> None:
    """Leave the encoder of a Gemma 3."""
    _begin(draft, "gemma3", _HALVES, _HALVES)
    draft.rename_tensors(
        ("v.patch_embedding", "v.patch_embd"),
        ("v.position_embedding", "v.position_embd"),
        ("v.post_layernorm", "v.post_ln"),
        (".layer_norm1", ".ln1"),
        (".layer_norm2", ".ln2"),
        (".attn_output", ".attn_out"),
        (".mlp.fc1", ".ffn_down"),
        (".mlp.fc2", ".ffn_up"),
        ("mm.mm_input_projection", "mm.input_projection"),
        ("mm.mm_soft_emb_norm", "mm.soft_emb_norm"),
    )
    draft.widen("v.patch_embd.weight", "v.position_embd.weight")
    draft.set("clip.use_gelu", True)
    draft.set("clip.projector_type", "gemma3")


def qwen25vl_projector(draft: Draft) -> None:
    """Leave the encoder of a Qwen2.5-VL."""
    full = draft.header.array("qwen25vl.vision.fullatt_block_indexes", 1)
    _begin(draft, "qwen25vl", _CLIP_MEAN, _CLIP_STD)
    _set_feed_forward(draft, "v.blk.0.ffn_up.weight")
    draft.set("clip.vision.n_wa_pattern", full[0] + 1 if full and isinstance(full[0], int) else 8)
    draft.default("clip.vision.image_size", 560)
    draft.rename_tensors(
        ("v.merger.ln_q.", "v.post_ln."),
        ("v.merger.mlp.", "mm."),
        ("v.patch_embd_0.weight", "v.patch_embd.weight"),
        ("v.patch_embd_1.weight", "v.patch_embd.weight.1"),
    )
    draft.widen("v.patch_embd.weight", "v.patch_embd.weight.1")
    draft.set("clip.use_silu", True)
    draft.set("clip.projector_type", "qwen2.5vl_merger")


def qwen3vl_projector(draft: Draft) -> None:
    """Leave the encoder of a Qwen3-VL: one matrix for queries, keys and values, one per frame of a patch."""
    arch = draft.header.architecture
    deep = [value for value in draft.header.array(f"{arch}.vision.deepstack_visual_indexes") if isinstance(value, int)]
    draft.copy(f"{arch}.vision.rope.freq_base", "clip.vision.rope.freq_base")
    draft.copy(f"{arch}.vision.shortest_edge", "clip.vision.image_min_pixels")
    draft.copy(f"{arch}.vision.longest_edge", "clip.vision.image_max_pixels")
    _begin(draft, arch, _HALVES, _HALVES)
    for key, value in (("num_channels", 3), ("temporal_patch_size", 2), ("rope.freq_base", 10_000.0),
                       ("image_min_pixels", 65_536), ("image_max_pixels", 16_777_216)):  # fmt: skip
        draft.default(f"clip.vision.{key}", value)
    _set_feed_forward(draft, "v.blk.0.mlp.linear_fc1.weight")
    positions = draft.tensor("v.pos_embed.weight")
    patch = draft.header.integer(f"{arch}.vision.patch_size")
    if positions is not None and patch is not None:
        draft.default("clip.vision.image_size", math.isqrt(positions.shape[1]) * patch)
    blocks = draft.header.integer(f"{arch}.vision.block_count") or 0
    draft.default("clip.vision.is_deepstack_layers", [index in deep for index in range(blocks)])
    for block in range(blocks):
        for part in ("weight", "bias"):
            _join_attention(draft, block, part)
    _split_patches(draft, draft.header.integer(f"{arch}.vision.num_channels") or 3)
    draft.rename_tensors(
        ("v.merger.norm.", "v.post_ln."),
        ("v.merger.linear_fc1.", "mm.0."),
        ("v.merger.linear_fc2.", "mm.2."),
        ("v.patch_embed.bias", "v.patch_embd.bias"),
        ("v.pos_embed.", "v.position_embd."),
        *((f"v.deepstack_merger.{number}.", f"v.deepstack.{index}.") for number, index in enumerate(deep)),
        (".norm1", ".ln1"),
        (".norm2", ".ln2"),
        (".mlp.linear_fc1", ".ffn_up"),
        (".mlp.linear_fc2", ".ffn_down"),
        (".linear_fc1", ".fc1"),
        (".linear_fc2", ".fc2"),
    )
    draft.widen("v.position_embd.weight")
    draft.set("clip.use_gelu", True)
    draft.set("clip.projector_type", "qwen3vl_merger")


def _begin(draft: Draft, arch: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Leave the encoder's tensors and sizes, under the names that all encoders have in common."""
    for size in _SIZES:
        draft.copy(f"{arch}.vision.{size}", f"clip.vision.{size}")
    draft.copy(f"{arch}.embedding_length", "clip.vision.projection_dim")  # it ends where the language model begins
    draft.keep_keys(lambda key: key.startswith(("general.", "clip.")))
    draft.keep_tensors(lambda name: name.startswith(("v.", "mm.")))
    draft.default("clip.vision.image_mean", mean)
    draft.default("clip.vision.image_std", std)
    draft.set("clip.has_vision_encoder", True)
    draft.set("general.architecture", "clip")
    draft.set("general.type", "mmproj")


def _set_feed_forward(draft: Draft, name: str) -> None:
    tensor = draft.tensor(name)
    if tensor is not None:
        draft.default("clip.vision.feed_forward_length", tensor.shape[1])


def _join_attention(draft: Draft, block: int, part: str) -> None:
    names = [f"v.blk.{block}.attn_{which}.{part}" for which in "qkv"]
    found = [tensor for name in names if (tensor := draft.tensor(name)) is not None]
    if len(found) != len(names):
        return
    *row, count = found[0].shape
    is_alike = len({tensor.type_name for tensor in found}) == 1
    draft.replace_tensors(
        names,
        MadeTensor(
            f"v.blk.{block}.attn_qkv.{part}",
            (*row, count * 3),
            found[0].type_name if is_alike else "F32",
            tuple(tensor.sources[0] for tensor in found),
            "join" if is_alike else "widen",
        ),
    )


def _split_patches(draft: Draft, channels: int) -> None:
    """Make two matrices of the one that holds the weights of two frames in turn."""
    patches = draft.tensor("v.patch_embed.weight")
    if patches is None or len(patches.shape) != 4 or patches.shape[2] != 2 or patches.shape[3] % channels:
        return
    shape = (*patches.shape[:2], channels, patches.shape[3] // channels)
    first = MadeTensor("v.patch_embd.weight", shape, "F32", patches.sources, "frame 0")
    second = MadeTensor("v.patch_embd.weight.1", shape, "F32", patches.sources, "frame 1")
    draft.replace_tensors([patches.name], first, second)
