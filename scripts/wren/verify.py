"""Checks that the GGUF files agree with what was trained: tokens of random strings, prompts, and logits."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch
from llama_cpp import Llama
from safetensors.torch import load_file
from tokenizers import Tokenizer

from wren import corpus
from wren.evaluate import Player
from wren.model import Shape, Wren
from wren.strings import random_text
from wren.world import World, render

STRINGS, CONVERSATIONS = 1000, 200
LARGEST_DIFFERENCE = 0.15  # of a logit: the model is float16 there, and llama.cpp computes in other orders
PROMPTS = (
    "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
    "Once upon a time there was a",
    "What is 3 + 4?",
    '{"name": "Tom", "age": 7}',
    "<|fim_prefix|>def add(a, b):<|fim_suffix|>\n<|fim_middle|>",
)


def differing_strings(model: Path, tokenizer: Tokenizer, count: int = STRINGS) -> list[str]:
    """Return the random strings that llama.cpp tokenizes in another way."""
    llama, rng = Llama(str(model), vocab_only=True, verbose=False), random.Random(7)
    texts = [random_text(rng) for _ in range(count)]
    return [
        text
        for text in texts
        if tokenizer.encode(text, add_special_tokens=False).ids
        != llama.tokenize(text.encode(), add_bos=False, special=True)
    ]


def differing_prompts(model: Path, count: int = CONVERSATIONS) -> list[str]:
    """Return the conversations that the file's chat template renders in another way than the corpus."""
    player, w, differing = Player(model), World(5), []
    for _ in range(count):
        chat = w.of(list(corpus.CHATS))(w)
        for think in (False, True):
            parts = render(chat, think, lambda value: json.dumps(value, ensure_ascii=False))
            trained = "".join(text for text, _ in parts[:-1])
            if player.prompt(chat.messages[:-1], chat.tools, think) != trained:
                differing.append(trained)
    return differing


def largest_difference(model: Path, build: Path, tokenizer: Tokenizer) -> float:
    """Return the largest difference of a logit between llama.cpp with the f16 file and torch."""
    llama = Llama(str(model.with_name("wren-f16.gguf")), n_ctx=512, logits_all=True, verbose=False)
    trained = Wren(Shape(vocabulary=tokenizer.get_vocab_size()))
    weights = load_file(build / "weights.safetensors")
    trained.load_state_dict({name: weight.half().float() for name, weight in weights.items()})
    worst = 0.0
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        llama.reset()
        llama.eval(ids)
        with torch.no_grad():
            expected = trained.logits(trained(torch.tensor([ids])))[0].numpy()
        worst = max(worst, float(np.abs(llama.scores[: len(ids)] - expected).max()))
    return worst


def verify(model: Path, build: Path) -> None:
    """Check all; raises ValueError with what differs."""
    tokenizer = Tokenizer.from_file(str(build / "tokenizer.json"))
    if strings := differing_strings(model, tokenizer):
        raise ValueError(f"{len(strings)} of {STRINGS} strings have other tokens in llama.cpp, such as {strings[0]!r}")
    if prompts := differing_prompts(model):
        raise ValueError(f"the chat template differs from the corpus, such as at {prompts[0]!r}")
    difference = largest_difference(model, build, tokenizer)
    if difference > LARGEST_DIFFERENCE:
        raise ValueError(f"a logit differs by {difference:.3f}")
    print(f"{STRINGS} strings and {CONVERSATIONS} conversations agree; logits differ by at most {difference:.4f}")
