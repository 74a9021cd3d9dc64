"""Builds GGUF files byte by byte, good ones and every kind of broken one."""

from __future__ import annotations

import struct
from collections.abc import Sequence

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def string(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def entry(key: str | bytes, value_type: int, payload: bytes) -> bytes:
    return string(key) + struct.pack("<I", value_type & 0xFFFFFFFF) + payload


def text(key: str, value: str | bytes) -> bytes:
    return entry(key, STRING, string(value))


def number(key: str, value: float, value_type: int = U32) -> bytes:
    return entry(key, value_type, struct.pack("<" + _CODES[value_type], value))


def array(key: str, element_type: int, values: Sequence[object], count: int | None = None) -> bytes:
    if element_type == STRING:
        payload = b"".join(string(value) for value in values)  # type: ignore[arg-type]
    else:
        payload = struct.pack(f"<{len(values)}{_CODES[element_type]}", *values)
    return entry(key, ARRAY, struct.pack("<IQ", element_type, len(values) if count is None else count) + payload)


def tensor(
    name: str | bytes, shape: Sequence[int], offset: int = 0, type_number: int = 0, dimensions: int | None = None
) -> bytes:
    count = len(shape) if dimensions is None else dimensions
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, type_number & 0xFFFFFFFF, offset)


def build(
    entries: Sequence[bytes],
    tensors: Sequence[bytes] = (),
    data: bytes = b"",
    *,
    version: int = 3,
    key_count: int | None = None,
    tensor_count: int | None = None,
    alignment: int = 32,
) -> bytes:
    head = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(tensors) if tensor_count is None else tensor_count,
        len(entries) if key_count is None else key_count,
    )
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data


def model_entries(without: Sequence[str] = (), arch: str = "llama", tokens: int = 8) -> list[bytes]:
    """The metadata of a small llama; entries whose key is in `without` are left out."""
    entries = {
        "general.architecture": text("general.architecture", arch),
        "general.type": text("general.type", "model"),
        "general.name": text("general.name", "tiny"),
        f"{arch}.context_length": number(f"{arch}.context_length", 128),
        f"{arch}.embedding_length": number(f"{arch}.embedding_length", 32),
        f"{arch}.block_count": number(f"{arch}.block_count", 1),
        f"{arch}.attention.head_count": number(f"{arch}.attention.head_count", 4),
        f"{arch}.attention.head_count_kv": number(f"{arch}.attention.head_count_kv", 2),
        f"{arch}.rope.freq_base": number(f"{arch}.rope.freq_base", 10000.0, F32),
        "tokenizer.ggml.model": text("tokenizer.ggml.model", "llama"),
        "tokenizer.ggml.tokens": array("tokenizer.ggml.tokens", STRING, [f"t{i}" for i in range(tokens)]),
        "tokenizer.ggml.scores": array("tokenizer.ggml.scores", F32, [float(-i) for i in range(tokens)]),
        "tokenizer.ggml.token_type": array("tokenizer.ggml.token_type", I32, [1] * tokens),
        "tokenizer.ggml.add_bos_token": number("tokenizer.ggml.add_bos_token", True, BOOL),
        "tokenizer.chat_template": text("tokenizer.chat_template", "{{ messages[0].content }}"),
        "general.file_type": number("general.file_type", 0),
    }
    return [data for key, data in entries.items() if key not in without]


TENSORS = (tensor("token_embd.weight", (32, 8)), tensor("output_norm.weight", (32,), 1024))
DATA_BYTES = 1024 + 128


def model(extra: Sequence[bytes] = (), without: Sequence[str] = (), tensors: Sequence[bytes] = TENSORS) -> bytes:
    """A file that passes the check: well-formed, though too small a model to be loaded."""
    return build([*model_entries(without), *extra], tensors, bytes(DATA_BYTES))
