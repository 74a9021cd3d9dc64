"""Vocabularies of Hugging Face folders, as GGUF has them.

Source: sentencepiece's `sentencepiece_model.proto`, the `tokenizer.json` of huggingface/tokenizers, BERT's `vocab.txt`,
and llama.cpp's `llama-vocab.cpp` for the names of pre-tokenizers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ollamapy.convert.draft import NewValue
from ollamapy.errors import InvalidFileError, UnsupportedError
from ollamapy.types import Json

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MAX_TOKENS = 1 << 20
BY_HAND = "convert the model with llama.cpp's convert_hf_to_gguf.py"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS: Mapping[str, str] = {_WORDS % r"\p{N}{1,3}": "llama-bpe", _WORDS % r"\p{N}": "qwen2"}
"""What llama.cpp calls the expressions that cut text into words."""


@dataclass(slots=True)
class Vocabulary:
    """Tokens with their types, the scores of some vocabularies and the merges of others."""

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float]
    merges: list[str]

    def values(self) -> dict[str, NewValue]:
        """Return its metadata."""
        found: dict[str, NewValue] = {"model": self.model, "pre": self.pre, "token_type": self.types}
        found |= {"scores": self.scores} if self.scores else {}
        return {f"tokenizer.ggml.{key}": value for key, value in found.items()}

    def texts(self) -> dict[str, list[str]]:
        """Return its metadata that is lists of texts."""
        found = {"tokens": self.tokens} | ({"merges": self.merges} if self.merges else {})
        return {f"tokenizer.ggml.{key}": value for key, value in found.items()}

    def resize(self, count: int) -> None:
        """Add unused tokens until there are that many; raises InvalidFileError where there are more."""
        if not len(self.tokens) <= count <= MAX_TOKENS:
            raise InvalidFileError(f"the tokenizer has {len(self.tokens)} tokens, but config.json says {count}")
        for index in range(len(self.tokens), count):
            self.tokens.append(f"[PAD{index}]")
            self.types.append(UNUSED)
            if self.scores:
                self.scores.append(-10000.0)


class _Added(msgspec.Struct):
    id: int
    content: str
    special: bool = False


class _Model(msgspec.Struct):
    type: str = ""
    vocab: dict[str, int] | None = None
    merges: list[str | list[str]] = []
    byte_fallback: bool | None = False


class _Tokenizer(msgspec.Struct):
    model: _Model
    added_tokens: list[_Added] = []
    pre_tokenizer: Json = None


def sentencepiece(data: bytes, added: Mapping[int, tuple[str, bool]]) -> Vocabulary:
    """Read a `tokenizer.model`; `added` are tokens by id, and whether they are special. Raises InvalidFileError."""
    found = Vocabulary("llama", "default", [], [], [], [])
    try:
        for number, value in _fields(data):
            if number == 1 and isinstance(value, bytes):
                text, score, kind = _piece(value)
                found.tokens.append(text)
                found.scores.append(score)
                found.types.append(kind)
    except (IndexError, struct.error, UnicodeDecodeError) as exc:
        raise InvalidFileError("malformed tokenizer.model: it can't be read") from exc
    if not 0 < len(found.tokens) <= MAX_TOKENS:
        raise InvalidFileError("malformed tokenizer.model: it has no tokens")
    for index, (text, special) in sorted(added.items()):
        if index == len(found.tokens):
            found.tokens.append(text)
            found.scores.append(-1000.0)
            found.types.append(CONTROL if special else USER)
        elif index < len(found.tokens) and special and found.types[index] == NORMAL:
            found.types[index] = CONTROL
    return found


def byte_level(data: bytes) -> Vocabulary:
    """Read the `tokenizer.json` of a byte-level BPE; raises InvalidFileError, UnsupportedError for another kind."""
    try:
        raw = msgspec.json.decode(data, type=_Tokenizer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError("malformed tokenizer.json: it can't be read") from exc
    pre = next((PRE_TOKENIZERS[text] for text in _patterns(raw.pre_tokenizer) if text in PRE_TOKENIZERS), "")
    if raw.model.type not in ("", "BPE") or raw.model.byte_fallback or not raw.model.vocab or not pre:
        raise UnsupportedError(f"this kind of tokenizer.json is not supported; {BY_HAND}")
    by_id = {number: (text, NORMAL) for text, number in raw.model.vocab.items()}
    by_id |= {token.id: (token.content, CONTROL if token.special else USER) for token in raw.added_tokens}
    if not all(0 <= number < MAX_TOKENS for number in by_id):
        raise InvalidFileError("malformed tokenizer.json: the number of a token is out of range")
    rows = [by_id.get(number, (f"[PAD{number}]", UNUSED)) for number in range(max(by_id) + 1)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in raw.model.merges]
    return Vocabulary("gpt2", pre, [text for text, _ in rows], [kind for _, kind in rows], [], merges)


def wordpiece(data: bytes) -> Vocabulary:
    """Read a `vocab.txt`: what continues a word has lost its `##` afterwards, what begins one has a mark before it."""
    try:
        lines = data.decode().removesuffix("\n").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as exc:
        raise InvalidFileError("malformed vocab.txt: it is not UTF-8 text") from exc
    if not 0 < len(lines) <= MAX_TOKENS:
        raise InvalidFileError("malformed vocab.txt: it has no tokens")
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    types = [CONTROL if line in specials else NORMAL for line in lines]
    return Vocabulary("bert", "bert-bge", [_word(line) for line in lines], types, [], [])


def _word(line: str) -> str:
    if line.startswith("[") and line.endswith("]"):
        return line
    return line[2:] if line.startswith("##") else f"\u2581{line}"


def _patterns(value: Json) -> Iterator[str]:
    """Yield the expressions anywhere in a description of a pre-tokenizer."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "Regex" and isinstance(inner, str):
                yield inner
            else:
                yield from _patterns(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _patterns(inner)


def _piece(data: bytes) -> tuple[str, float, int]:
    text, score, kind = "", 0.0, NORMAL
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode()
        elif number == 2 and isinstance(value, bytes):
            score = struct.unpack("<f", value)[0]
        elif number == 3 and isinstance(value, int):
            kind = value
    return text, score, kind


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: numbers, or bytes of what has a length and of fixed numbers."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind, -1)
        if kind == 2:
            length, position = _varint(data, position)
        if length < 0 or position + length > len(data):
            raise IndexError(position)
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError(position)
