"""Wren's tokenizer: byte-level BPE in which a word that may be copied has the same tokens wherever it stands.

llama.cpp's pre-tokenizer "qwen2" glues a blank to the word behind it. Learned freely, merges would give " Tom" and
"Tom" different tokens, and copying a name into JSON would be a translation. So merges are learned on words without
their blank, and only common words that are no slot of the corpus get a token that holds the blank too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
VOCABULARY = 2048
SPACED_WORDS = 320
MIN_WORD_COUNT = 20
# Source: llama.cpp src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LEARNING_SPLIT = r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
FUNCTION_WORDS = frozenset(
    ("a", "and", "I", "in", "of", "the", "to")
)  # they may be part of a slot, but seldom begin one
_SPACED_WORD = re.compile(r" ([A-Za-z]+)(?![A-Za-z])")
_MARKERS = re.compile("|".join(re.escape(text) for text in CONTROL + TAGS))


def train_tokenizer(texts: Iterable[str], slots: Collection[str]) -> Tokenizer:
    """Learn a tokenizer from documents; `slots` are the words that documents copy."""
    pieces = [piece for text in texts for piece in _MARKERS.split(text) if piece]
    words = Counter(word for piece in pieces for word in _SPACED_WORD.findall(piece))
    slot_words = {part.lower() for slot in slots for part in slot.split()}
    common = [
        word
        for word, count in words.most_common()
        if word in FUNCTION_WORDS or (count >= MIN_WORD_COUNT and word.lower() not in slot_words and len(word) > 1)
    ]
    learned = _learn(pieces, VOCABULARY - len(CONTROL + TAGS) - SPACED_WORDS)
    return _with_spaced_words(learned, common)


def _splitter(regex: str) -> pre_tokenizers.PreTokenizer:
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), bytes_of])


def _learn(pieces: Iterable[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _splitter(LEARNING_SPLIT)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        pieces, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def _with_spaced_words(learned: Tokenizer, common: Iterable[str]) -> Tokenizer:
    """Add tokens of a blank and a common word that is one token, and the control tokens at the end."""
    model = json.loads(learned.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]]
    for word in common:
        if len(vocabulary) == VOCABULARY - len(CONTROL + TAGS):
            break
        if word in vocabulary:
            vocabulary["Ġ" + word] = len(vocabulary)
            merges.append(("Ġ", word))
    return _complete(vocabulary, merges)


def _complete(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = _splitter(SPLIT), decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in TAGS])
    return tokenizer


def fragments_of(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return the tokens that are parts of words. One that no training document copies could not be copied later."""
    texts = {tokenizer.decode([i]).strip() for i in range(tokenizer.get_vocab_size())}
    return tuple(sorted(text for text in texts if text.isascii() and text.isalpha()))


def tokenizer_of(tokens: Sequence[str], merges: Sequence[str]) -> Tokenizer:
    """Return the tokenizer of a GGUF file's vocabulary."""
    added = {*CONTROL, *TAGS}
    pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
    return _complete({token: i for i, token in enumerate(tokens) if token not in added}, pairs)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a GGUF file says of a tokenizer: ids in order, the kind of each token, and the merges."""

    ids: dict[str, int]
    kinds: tuple[Literal["normal", "control", "tag"], ...]
    merges: tuple[str, ...]
    source: dict[str, Any]


def read_tokens(path: Path) -> Tokens:
    """Read a tokenizer.json that `train_tokenizer` made."""
    source = json.loads(path.read_text(encoding="utf-8"))
    added = {token["content"]: token["id"] for token in source["added_tokens"]}
    vocabulary = source["model"]["vocab"] | added
    ids = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    kinds = tuple("control" if text in CONTROL else "tag" if text in TAGS else "normal" for text in ids)
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in source["model"]["merges"])
    return Tokens(ids, kinds, merges, source)
