"""Takes the tokenizer out of a GGUF file, and finds the tokens that a benchmark must not draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ollamapy.gguf import ArrayRef, read_header

NORMAL_TOKEN = 1  # the token type of ordinary text, in every GGUF vocabulary


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokenizer fields of a GGUF file, by their keys without the chat template, and its tokens."""

    fields: dict[str, Any]
    tokens: tuple[str, ...]
    has_chatml: bool

    @property
    def banned(self) -> npt.NDArray[np.bool_]:
        """Return a (n_tokens,) mask of the tokens that end a text or are not whole characters.

        Without them every answer has exactly the length that was asked for, and each token is text at once: a stream
        of fragments would hide the gaps between tokens.
        """
        types = self.fields.get("tokenizer.ggml.token_type", [NORMAL_TOKEN] * len(self.tokens))
        is_bytes = self.fields["tokenizer.ggml.model"] == "gpt2"
        table = _byte_table() if is_bytes else {}
        allowed = (
            kind == NORMAL_TOKEN and (not is_bytes or _is_whole_text(token, table))
            for token, kind in zip(self.tokens, types, strict=True)
        )
        return ~np.fromiter(allowed, dtype=np.bool_, count=len(self.tokens))


def read_vocabulary(path: Path) -> Vocabulary:
    """Read the tokenizer of a GGUF file; raises InvalidFileError, or KeyError when it has none."""
    header = read_header(path)
    fields: dict[str, Any] = {
        key: header.array(key) if isinstance(value, ArrayRef) else value
        for key, value in header.metadata.items()
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template"
    }
    tokens = tuple(fields["tokenizer.ggml.tokens"])
    return Vocabulary(fields, tokens, "<|im_start|>" in tokens and "<|im_end|>" in tokens)


def _is_whole_text(token: str, table: dict[str, int]) -> bool:
    try:
        bytes(table[character] for character in token).decode()
    except (KeyError, UnicodeDecodeError):
        return False
    return True


def _byte_table() -> dict[str, int]:
    """Return what byte each character of a byte-level BPE vocabulary stands for.

    Source: the GPT-2 tokenizer: printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(0x100 + place): byte for place, byte in enumerate(others)}
