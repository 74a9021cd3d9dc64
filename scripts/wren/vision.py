"""A toy vision encoder: it looks at a picture and writes the token embeddings of its caption, one for each patch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from wren.pictures import ALL, PADDING, Picture, draw

MEAN = STD = 0.5


@dataclass(frozen=True, slots=True)
class Sight:
    """Dimensions of the encoder; `layers` counts one that llama.cpp loads and leaves out, as llava does."""

    image: int = 64
    patch: int = 16
    width: int = 96
    heads: int = 3
    layers: int = 4
    hidden: int = 192
    projected: int = 256
    epsilon: float = 1e-5

    @property
    def patches(self) -> int:
        """How many patches, and embeddings, a picture has."""
        return (self.image // self.patch) ** 2


class Layer(nn.Module):
    """A layer of the encoder, as CLIP has them."""

    def __init__(self, s: Sight) -> None:
        super().__init__()
        self.heads = s.heads
        self.ln1, self.ln2 = nn.LayerNorm(s.width, s.epsilon), nn.LayerNorm(s.width, s.epsilon)
        self.attn_q, self.attn_k, self.attn_v = (nn.Linear(s.width, s.width) for _ in "qkv")
        self.attn_out = nn.Linear(s.width, s.width)
        self.ffn_up, self.ffn_down = nn.Linear(s.width, s.hidden), nn.Linear(s.hidden, s.width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (pictures, patches, width) states to the next ones."""
        h, (n, length, width) = self.ln1(x), x.shape
        q, k, v = (
            part(h).view(n, length, self.heads, -1).transpose(1, 2) for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width)
        x = x + self.attn_out(y)
        return x + self.ffn_down(F.gelu(self.ffn_up(self.ln2(x)), approximate="tanh"))


class Eye(nn.Module):
    """The encoder and the projector."""

    def __init__(self, s: Sight) -> None:
        super().__init__()
        self.patch_embd = nn.Conv2d(3, s.width, s.patch, s.patch)
        self.position_embd = nn.Embedding(s.patches, s.width)
        self.blk = nn.ModuleList(Layer(s) for _ in range(s.layers - 1))
        self.post_ln = nn.LayerNorm(s.width, s.epsilon)
        self.mm0, self.mm2 = nn.Linear(s.width, s.hidden), nn.Linear(s.hidden, s.projected)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (pictures, 3, side, side) values to (pictures, patches, projected) embeddings."""
        x = self.patch_embd(pixels).flatten(2).transpose(1, 2) + self.position_embd.weight
        for layer in self.blk:
            x = layer(x)
        embeddings: Tensor = self.mm2(F.gelu(self.mm0(self.post_ln(x)), approximate="tanh"))
        return embeddings


def caption_ids(picture: Picture, tokenizer: Tokenizer, length: int) -> list[int]:
    """Return the tokens of a caption, filled up with zeros."""
    ids = tokenizer.encode(picture.caption, add_special_tokens=False).ids
    padding = tokenizer.encode(PADDING, add_special_tokens=False).ids
    return list(ids + padding * (length - len(ids)))


def batch(pictures: Sequence[Picture], side: int, rng: random.Random) -> Tensor:
    """Draw pictures and return them as the encoder wants them."""
    pixels = np.stack([draw(picture, side, rng) for picture in pictures]).astype(np.float32) / 255
    return torch.from_numpy(((pixels - MEAN) / STD).transpose(0, 3, 1, 2).copy())


def train_eye(sight: Sight, embedding: Tensor, tokenizer: Tokenizer, steps: int, seed: int) -> Eye:
    """Train an encoder for a language model's token embeddings; blocks for some seconds per hundred steps."""
    torch.manual_seed(seed)
    eye, rng = Eye(sight), random.Random(seed)
    targets = {picture: torch.tensor(caption_ids(picture, tokenizer, sight.patches)) for picture in ALL}
    optimizer = torch.optim.AdamW(eye.parameters(), lr=2e-3, weight_decay=0.01)
    spread = embedding.var()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50, (steps - step) / (steps * 0.5))
        pictures = rng.choices(ALL, k=64)
        wanted = torch.stack([targets[picture] for picture in pictures])
        made = eye(batch(pictures, sight.image, rng))
        distance = F.mse_loss(made, embedding[wanted]) / spread
        scores = -torch.cdist(made.flatten(0, 1), embedding).square() / (2 * spread)
        loss = distance + F.cross_entropy(scores, wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 100 == 0:
            right = (scores.argmax(-1).view_as(wanted) == wanted).all(1).float().mean()
            print(f"vision step {step + 1} loss {loss.item():.3f}, captions right {right:.2f}", flush=True)
    return eye


def write_eye(path: Path, eye: Eye, sight: Sight) -> None:
    """Write the GGUF file that llama.cpp's mtmd loads as a llava projector.

    Source: llama.cpp tools/mtmd/clip-impl.h (names) and tools/mtmd/models/llava.cpp (the graph).
    """
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name("Wren's eye")
    writer.add_license("mit")
    writer.add_description("Sees a coloured shape on a background. Trained on pictures drawn by a program.")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    sizes = {"image_size": sight.image, "patch_size": sight.patch, "embedding_length": sight.width}
    sizes |= {"feed_forward_length": sight.hidden, "block_count": sight.layers, "projection_dim": sight.projected}
    for key, value in {**sizes, "attention.head_count": sight.heads}.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", sight.epsilon)
    writer.add_array("clip.vision.image_mean", [MEAN] * 3)
    writer.add_array("clip.vision.image_std", [STD] * 3)
    for name, array in tensors(eye, sight).items():
        is_matrix = array.ndim > 1 and "position" not in name
        writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float16 if is_matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(eye: Eye, sight: Sight) -> dict[str, NDArray[Any]]:
    """Return the weights under llama.cpp's names, with a last layer that is loaded and never computed."""
    found = {name: weight.detach().numpy() for name, weight in eye.state_dict().items()}
    out = {("" if name.startswith("mm") else "v.") + name: array for name, array in found.items()}
    for part in ("mm0", "mm2"):
        for kind in ("weight", "bias"):
            out[f"mm.{part[2]}.{kind}"] = out.pop(f"{part}.{kind}")
    last = f"v.blk.{sight.layers - 1}."
    return out | {
        name.replace("v.blk.0.", last): np.zeros_like(array)
        for name, array in out.items()
        if name.startswith("v.blk.0.")
    }
