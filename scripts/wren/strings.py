"""Random strings of all kinds of characters, to compare tokenizers on."""

from __future__ import annotations

import random

ALPHABETS = (
    "abcdefgh XYZ", "0123456789 .,", "{}[]\":,_-/`'", "éüñßøœ çà", "Привет мир", "日本語テスト", "😀🎉👍🏽",
    " \n\t\r\n  ", "a's We'll I'M",
)  # fmt: skip
PIECES = ("<|im_start|>", "<think>", " the ", "Hello", "\n\n", " 12", "</tool_call>", " model", "ollamapy", " Tom")


def random_text(rng: random.Random) -> str:
    """Return a string of all kinds of characters and control tokens."""
    return "".join(
        rng.choice(rng.choice(ALPHABETS)) if rng.random() < 0.6 else rng.choice(PIECES)
        for _ in range(rng.randint(1, 40))
    )
