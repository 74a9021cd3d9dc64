"""A projector without training: a tiny CLIP in llava's form, enough to see where pictures go and that they count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

IMAGE, PATCH, WIDTH, HEADS, LAYERS = 32, 8, 32, 2, 2
N_TOKENS = (IMAGE // PATCH) ** 2


def write_projector(path: Path, n_embd: int, seed: int = 1) -> None:
    """Write a projector for a language model of that embedding width, (N_TOKENS, n_embd) for each picture.

    Source of the keys and names: tools/mtmd/clip-impl.h of llama.cpp.
    """
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", "mlp")
    numbers = {
        "image_size": IMAGE, "patch_size": PATCH, "embedding_length": WIDTH, "feed_forward_length": 2 * WIDTH,
        "block_count": LAYERS, "projection_dim": n_embd, "attention.head_count": HEADS,
    }  # fmt: skip
    for name, value in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    tensors = {
        "v.patch_embd.weight": weight(WIDTH, 3, PATCH, PATCH),
        "v.position_embd.weight": weight(N_TOKENS, WIDTH),
        "mm.0.weight": weight(n_embd, WIDTH), "mm.0.bias": weight(n_embd),
        "mm.2.weight": weight(n_embd, n_embd), "mm.2.bias": weight(n_embd),
    }  # fmt: skip
    for layer in range(LAYERS):
        block = f"v.blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors |= {f"{block}.{name}.weight": weight(WIDTH, WIDTH), f"{block}.{name}.bias": weight(WIDTH)}
        tensors |= {f"{block}.ffn_up.weight": weight(2 * WIDTH, WIDTH), f"{block}.ffn_up.bias": weight(2 * WIDTH)}
        tensors |= {f"{block}.ffn_down.weight": weight(WIDTH, 2 * WIDTH), f"{block}.ffn_down.bias": weight(WIDTH)}
        for name in ("ln1", "ln2"):
            tensors |= {f"{block}.{name}.weight": np.ones(WIDTH, np.float32), f"{block}.{name}.bias": weight(WIDTH)}
    for name, data in tensors.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
