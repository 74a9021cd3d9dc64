"""wren-embed: a small BERT that puts sentences of one meaning close together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from llama_cpp import LLAMA_POOLING_TYPE_MEAN, Llama
from tokenizers import Tokenizer
from torch import Tensor, nn

from wren.export import add_tokenizer, finish, quantize
from wren.paraphrases import triples
from wren.tokens import Tokens
from wren.world import Side

TEMPERATURE = 0.06
PAIRS = 96
TOGETHER = 48
RATE = 2e-3


@dataclass(frozen=True, slots=True)
class Body:
    """Dimensions; `context` is the most tokens of a text."""

    vocabulary: int = 2048
    width: int = 128
    heads: int = 4
    layers: int = 2
    hidden: int = 384
    context: int = 128
    epsilon: float = 1e-6


class Layer(nn.Module):
    """A layer of BERT: the norms stand behind the sums."""

    def __init__(self, b: Body) -> None:
        super().__init__()
        self.heads = b.heads
        self.attn_q, self.attn_k, self.attn_v = (nn.Linear(b.width, b.width) for _ in "qkv")
        self.attn_output, self.attn_output_norm = nn.Linear(b.width, b.width), nn.LayerNorm(b.width, b.epsilon)
        self.ffn_up, self.ffn_down = nn.Linear(b.width, b.hidden), nn.Linear(b.hidden, b.width)
        self.layer_output_norm = nn.LayerNorm(b.width, b.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (texts, length, width) states to the next ones; `mask` is True at tokens."""
        n, length, width = x.shape
        q, k, v = (
            part(x).view(n, length, self.heads, -1).transpose(1, 2) for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
        x = self.attn_output_norm(x + self.attn_output(seen.transpose(1, 2).reshape(n, length, width)))
        out: Tensor = self.layer_output_norm(x + self.ffn_down(F.gelu(self.ffn_up(x), approximate="tanh")))
        return out


class Embedder(nn.Module):
    """The whole model; its parameters have llama.cpp's names."""

    def __init__(self, b: Body) -> None:
        super().__init__()
        self.token_embd, self.position_embd = nn.Embedding(b.vocabulary, b.width), nn.Embedding(b.context, b.width)
        self.token_types = nn.Embedding(1, b.width)
        self.token_embd_norm = nn.LayerNorm(b.width, b.epsilon)
        self.blk = nn.ModuleList(Layer(b) for _ in range(b.layers))
        nn.init.normal_(self.token_embd.weight, std=0.05)
        nn.init.normal_(self.position_embd.weight, std=0.005)
        nn.init.zeros_(self.token_types.weight)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map (texts, length) ids to (texts, width) vectors of length 1: the mean over the tokens."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embd(ids) + self.position_embd(places) + self.token_types.weight[0]
        x = self.token_embd_norm(x)
        for layer in self.blk:
            x = layer(x, mask)
        weights = mask[..., None].to(x.dtype)
        return F.normalize((x * weights).sum(1) / weights.sum(1), dim=-1)


def padded(texts: Sequence[str], tokenizer: Tokenizer, context: int) -> tuple[Tensor, Tensor]:
    """Return (texts, length) ids and the mask of tokens."""
    rows = [encoded.ids[:context] for encoded in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    length = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), True
    return ids, mask


def vectors(model: Embedder, texts: Sequence[str], tokenizer: Tokenizer, context: int) -> Tensor:
    """Return (texts, width) vectors; texts of like length are computed together, so that little is padded."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    made = torch.cat(
        [
            model(*padded([texts[i] for i in order[start : start + TOGETHER]], tokenizer, context))
            for start in range(0, len(order), TOGETHER)
        ]
    )
    return made[torch.tensor(sorted(range(len(order)), key=order.__getitem__))]


def train_embedder(body: Body, tokenizer: Tokenizer, steps: int, seed: int) -> Embedder:
    """Train against the other sentences of a batch, and one with a changed word for each; blocks."""
    torch.manual_seed(seed)
    model, source = Embedder(body), triples(seed, "train")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50, (steps - step) / (0.6 * steps))
        chosen = list(islice(source, PAIRS))
        texts = [*(t.anchor for t in chosen), *(t.same for t in chosen), *(t.other for t in chosen)]
        anchors, same, other = vectors(model, texts, tokenizer, body.context).split(PAIRS)
        scores = anchors @ torch.cat((same, other)).T / TEMPERATURE
        keys = [t.key for t in chosen]
        equal = torch.tensor([[i != j and a == b for j, b in enumerate(keys)] for i, a in enumerate(keys)])
        scores = scores.masked_fill(torch.cat((equal, torch.zeros_like(equal)), 1), -torch.inf)
        loss = F.cross_entropy(scores, torch.arange(PAIRS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 50 == 0:
            print(f"embedder step {step + 1} loss {loss.item():.3f}", flush=True)
    return model


def write_embedder(folder: Path, model: Embedder, body: Body, tokens: Tokens) -> Path:
    """Write `wren-embed-f16.gguf` and `wren-embed-q8_0.gguf`; returns the path of the second."""
    path = folder / "wren-embed-f16.gguf"
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("Wren Embed")
    writer.add_basename("wren-embed")
    writer.add_license("mit")
    writer.add_description("A tiny embedding model, trained from scratch on generated paraphrases.")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(body.context)
    writer.add_embedding_length(body.width)
    writer.add_feed_forward_length(body.hidden)
    writer.add_block_count(body.layers)
    writer.add_head_count(body.heads)
    writer.add_layer_norm_eps(body.epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(1)
    add_tokenizer(writer, tokens)
    for name, weight in model.state_dict().items():
        array: Any = weight.detach().numpy()
        is_matrix = array.ndim == 2 and not name.startswith(("position", "token_types"))
        writer.add_tensor(name, array.astype(np.float16 if is_matrix else np.float32))
    finish(writer)
    quantize(path, folder / "wren-embed-q8_0.gguf")
    return folder / "wren-embed-q8_0.gguf"


def nearer_share(path: Path, count: int, seed: int, side: Side) -> float:
    """Return in how many triples llama.cpp puts the paraphrase nearer than the other sentence, from 0 to 1."""
    llama = Llama(
        str(path), embedding=True, pooling_type=LLAMA_POOLING_TYPE_MEAN, n_ctx=128, n_threads=1, verbose=False
    )
    nearer = 0
    for triple in islice(triples(seed, side), count):
        anchor, same, other = (
            np.array(llama.embed(t, normalize=True)) for t in (triple.anchor, triple.same, triple.other)
        )
        nearer += bool(anchor @ same > anchor @ other)
    return nearer / count
