"""A tiny model that has every family's marks as control tokens, so that any chat template can be tried on it."""

from __future__ import annotations

import re
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

CONTROL = 3  # the token type of llama.cpp's vocabularies
N_BYTE_TOKENS = 259  # they come first, and any text can be written with them
CONTEXT = 8192


def write_family_model(source: Path, target: Path, marks: list[str], templates: dict[str, str] | None = None) -> None:
    """Copy the first block of a model, its first words replaced by control tokens with these texts.

    `templates` are written beside the text of `default`, the file's chat template, as files with several have them.
    """
    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        if key in ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type"):
            new = marks if key.endswith("tokens") else [CONTROL] * len(marks)
            value[N_BYTE_TOKENS : N_BYTE_TOKENS + len(marks)] = new
        value = {"llama.context_length": CONTEXT, "llama.block_count": 1}.get(key, value)
        writer.add_key_value(key, value, kind, field.types[-1] if kind is GGUFValueType.ARRAY else None)
    for name, template in (templates or {}).items():
        writer.add_string("tokenizer.chat_template" + ("" if name == "default" else f".{name}"), template)
    for tensor in (tensor for tensor in reader.tensors if not re.match(r"blk\.[1-9]", tensor.name)):
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
