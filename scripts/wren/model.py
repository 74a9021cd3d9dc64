"""The network: a small Llama-architecture language model with tied embeddings, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

SHORT_TOKENS = 384


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a model; `context` is the length in tokens of the longest document trained on."""

    vocabulary: int = 2048
    width: int = 256
    layers: int = 7
    heads: int = 8
    kv_heads: int = 2
    head_size: int = 64
    hidden: int = 768
    context: int = 1280
    rope_base: float = 10_000.0
    epsilon: float = 1e-5


class Block(nn.Module):
    """Grouped-query attention with rotary positions, and a SwiGLU layer; both behind an RMSNorm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = s = shape
        self.norm1, self.norm2 = nn.RMSNorm(s.width, s.epsilon), nn.RMSNorm(s.width, s.epsilon)
        self.qkv = nn.Linear(s.width, (s.heads + 2 * s.kv_heads) * s.head_size, bias=False)
        self.out = nn.Linear(s.heads * s.head_size, s.width, bias=False)
        self.gate_up = nn.Linear(s.width, 2 * s.hidden, bias=False)
        self.down = nn.Linear(s.hidden, s.width, bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Map (batch, length, width) states to the next ones; `mask` is added to the scores, None is causal."""
        x = x + self.attend(self.norm1(x), cos, sin, mask)
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Return what attention adds."""
        s, (batch, length, _) = self.shape, x.shape
        heads = self.qkv(x).view(batch, length, -1, s.head_size).transpose(1, 2)
        q, k, v = heads.split([s.heads, s.kv_heads, s.kv_heads], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        groups = s.heads // s.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        if mask is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # on a CPU faster for short documents
            scores = (q * s.head_size**-0.5) @ k.transpose(-1, -2) + mask
            y = torch.softmax(scores, -1, dtype=v.dtype) @ v
        return self.out(y.transpose(1, 2).reshape(batch, length, -1))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the two halves of each head against each other by the angle of their position."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Wren(nn.Module):
    """The language model: `forward` gives the last states, `logits` the scores of the next tokens."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.epsilon)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, length) token ids to (batch, length, width) states."""
        shape, length, device = self.shape, tokens.shape[1], tokens.device
        steps = torch.arange(0, shape.head_size, 2, device=device) / shape.head_size
        angle = torch.outer(torch.arange(length, device=device).float(), shape.rope_base**-steps)
        lowered = torch.is_autocast_enabled(device.type)
        dtype = torch.bfloat16 if lowered else torch.float32
        cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
        mask = None
        if device.type == "cpu" and length <= SHORT_TOKENS:
            mask = torch.full((length, length), -1e4, dtype=dtype).triu(1)
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        states: Tensor = self.norm(x)
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Map states to scores of the vocabulary."""
        return F.linear(states, self.embed.weight)
