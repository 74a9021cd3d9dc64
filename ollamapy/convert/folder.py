"""Folders of Hugging Face's transformers, and LoRA adapters of PEFT, as GGUF files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ollamapy.convert.draft import NewValue, encode_texts, encode_value
from ollamapy.convert.families import FAMILIES, Config, Family, pooling_values, read_config, rope_factors
from ollamapy.convert.safetensors import TYPES, SourceTensor, read_tables
from ollamapy.convert.tokens import BY_HAND, Vocabulary, byte_level, sentencepiece, wordpiece
from ollamapy.convert.write import OutTensor, floats_of, pieces_of
from ollamapy.errors import InvalidFileError, UnsupportedError
from ollamapy.gguf import Header
from ollamapy.types import Json

MAX_TEXT_BYTES = 64 << 20
_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}
_ALWAYS_F32 = ("position_embd.weight", "token_types.weight")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A GGUF file to be written."""

    values: Mapping[str, bytes]
    tensors: list[OutTensor]


class _Adapter(msgspec.Struct):
    peft_type: str = ""
    r: int = 0
    lora_alpha: float = 0.0
    bias: str = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    modules_to_save: Json = None
    rank_pattern: dict[str, Json] | None = None
    alpha_pattern: dict[str, Json] | None = None


def convert_model(files: Mapping[str, Path]) -> Conversion:
    """Return the GGUF file of a model, given the files of its folder by name; reads their tables, not their tensors.

    Raises:
        InvalidFileError: a file is missing or malformed.
        UnsupportedError: it is of a kind that is not converted here.
    """
    family, config = read_config(_read(files, "config.json"))
    sources = read_tables(path for name, path in sorted(files.items()) if name.lower().endswith(".safetensors"))
    tensors, kinds = [], set()
    for source in sources.values():
        name = family.rename(source.name)
        if name is not None and not (name == "output.weight" and config.tie_word_embeddings):
            tensors.append(_out(name, source, family.heads(name, config)))
            kinds.add(tensors[-1].type_name if len(source.shape) > 1 and name not in _ALWAYS_F32 else "")
    factors = rope_factors(config)
    if factors is not None:
        data = np.array(factors, "<f4").tobytes()
        tensors.append(OutTensor("rope_freqs.weight", (len(factors),), "F32", lambda: iter([data])))
    _check_names(tensors, config)
    vocabulary = _vocabulary(files, family, config)
    values: dict[str, NewValue] = {"general.architecture": family.arch, "general.type": "model"}
    values["general.file_type"] = _FILE_TYPES["BF16" if "BF16" in kinds else "F16"]
    values |= {f"{family.arch}.{key}": value for key, value in family.values(config).items()}
    if "1_Pooling/config.json" in files:
        values |= {f"{family.arch}.{k}": v for k, v in pooling_values(_read(files, "1_Pooling/config.json")).items()}
    values |= _special_values(files, family, config, vocabulary)
    texts = {key: encode_texts(value) for key, value in vocabulary.texts().items()}
    return Conversion(_encoded(values | vocabulary.values()) | texts, tensors)


def convert_adapter(files: Mapping[str, Path], base: Header) -> Conversion:
    """Return the GGUF file of a LoRA adapter in PEFT's layout for a model; raises as `convert_model` does."""
    try:
        adapter = msgspec.json.decode(_read(files, "adapter_config.json"), type=_Adapter)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError(f"malformed adapter_config.json: {str(exc)[:200]}") from exc
    if adapter.peft_type != "LORA":
        raise UnsupportedError(
            "the adapter is no LoRA in PEFT's layout; convert it with llama.cpp's convert_lora_to_gguf.py"
        )
    odd = (adapter.bias != "none", adapter.fan_in_fan_out, adapter.use_rslora, adapter.use_dora,
           bool(adapter.modules_to_save), bool(adapter.rank_pattern), bool(adapter.alpha_pattern))  # fmt: skip
    family = next((family for family in FAMILIES.values() if family.arch == base.architecture), None)
    if any(odd) or family is None or adapter.lora_alpha <= 0:
        raise UnsupportedError(
            "this kind of LoRA is not supported; convert it with llama.cpp's convert_lora_to_gguf.py"
        )
    heads = base.integer(f"{base.architecture}.attention.head_count") or 0
    config = Config(
        num_attention_heads=heads, num_key_value_heads=base.integer(f"{base.architecture}.attention.head_count_kv")
    )
    sources = read_tables(path for name, path in sorted(files.items()) if name.lower().endswith(".safetensors"))
    tensors = [_lora_tensor(family, config, source) for source in sources.values()]
    values: dict[str, NewValue] = {
        "general.architecture": family.arch,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(adapter.lora_alpha),
    }
    return Conversion(_encoded(values), tensors)


def _lora_tensor(family: Family, config: Config, source: SourceTensor) -> OutTensor:
    for middle, end in ((".lora_A.weight", ".lora_a"), (".lora_B.weight", ".lora_b")):
        if source.name.endswith(middle):
            changed = source.name.removesuffix(middle).removeprefix("base_model.model.")
            name = family.rename(f"{changed}.weight")
            if name is not None:
                heads = family.heads(name, config) if end == ".lora_b" else 0
                return _out(name + end, source, heads, "F32")
    raise UnsupportedError(f"the tensor {source.name[:80]!r} is not known in a LoRA adapter")


def _out(name: str, source: SourceTensor, heads: int, type_name: str = "") -> OutTensor:
    """Return a tensor as it is written: what has one dimension as F32, else BF16 as it is and all others as F16."""
    if not type_name:
        is_small = len(source.shape) < 2 or name in _ALWAYS_F32
        type_name = "F32" if is_small else "BF16" if source.type_name == "BF16" else "F16"
    if source.type_name not in ("F32", "F16", "BF16"):
        raise UnsupportedError(f"the tensor {source.name[:80]!r} is of the type {source.type_name}; {BY_HAND}")
    rows = source.shape[0] if source.shape else 1
    if heads and rows % (2 * heads):
        raise InvalidFileError(f"the rows of {source.name[:80]!r} are not of {heads} heads")
    return OutTensor(name, tuple(reversed(source.shape)) or (1,), type_name, lambda: _pieces(source, heads, type_name))


def _pieces(source: SourceTensor, heads: int, type_name: str) -> Iterator[bytes]:
    rows = source.shape[0] if source.shape else 1
    row_bytes = source.size_bytes // rows
    with source.path.open("rb") as file:
        step = rows // heads * row_bytes if heads else TYPES[source.type_name][1]
        for piece in pieces_of(file, source.offset, source.offset + source.size_bytes, step):
            yield _changed(_turned(piece, rows // heads, row_bytes) if heads else piece, source.type_name, type_name)


def _turned(piece: bytes, head_rows: int, row_bytes: int) -> bytes:
    """Bring the rows of whole heads into llama.cpp's order: the two halves of each head in turn."""
    rows = np.frombuffer(piece, np.uint8).reshape(-1, 2, head_rows // 2, row_bytes)
    return np.ascontiguousarray(rows.swapaxes(1, 2)).tobytes()


def _changed(piece: bytes, old: str, new: str) -> bytes:
    if old == new:
        return piece
    numbers = floats_of(old, piece)
    if new == "F32":
        return numbers.tobytes()
    with np.errstate(over="ignore"):
        halves = numbers.astype(np.float16)
    if not np.isfinite(halves).all() and np.isfinite(numbers).all():
        raise UnsupportedError(f"the numbers of the model are too large for F16; {BY_HAND}, to BF16")
    return halves.tobytes()


def _check_names(tensors: list[OutTensor], config: Config) -> None:
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise InvalidFileError("two tensors would have the same name")
    blocks = {int(name.split(".")[1]) for name in names if name.startswith("blk.")}
    if "token_embd.weight" not in names or blocks != set(range(config.num_hidden_layers)):
        raise InvalidFileError("some tensors of the model are missing; add all of its safetensors files")


def _vocabulary(files: Mapping[str, Path], family: Family, config: Config) -> Vocabulary:
    if family.arch == "bert":
        found = wordpiece(_read(files, "vocab.txt"))
    elif "tokenizer.model" in files:
        found = sentencepiece(_read(files, "tokenizer.model"), _added(files))
    else:
        found = byte_level(_read(files, "tokenizer.json"))
    found.resize(config.vocab_size)
    return found


def _added(files: Mapping[str, Path]) -> dict[int, tuple[str, bool]]:
    rows = _tokenizer_config(files).get("added_tokens_decoder")
    found = {}
    for key, row in (rows if isinstance(rows, dict) else {}).items():
        if key.isdecimal() and isinstance(row, dict) and isinstance(row.get("content"), str):
            found[int(key[:8])] = (str(row["content"]), row.get("special") is True)
    return found


def _special_values(
    files: Mapping[str, Path], family: Family, config: Config, vocabulary: Vocabulary
) -> dict[str, NewValue]:
    """Return which tokens begin and end a text, and the chat template."""
    told = _tokenizer_config(files)
    ids: dict[str, int | None] = {}
    if family.arch == "bert":
        marks = {"unknown": "[UNK]", "seperator": "[SEP]", "padding": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
        ids = {key: _id_of(vocabulary, text) for key, text in marks.items()}
    else:
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        ids = {"bos": _id_of(vocabulary, told.get("bos_token")), "eos": _id_of(vocabulary, told.get("eos_token"))}
        ids = {"bos": config.bos_token_id if ids["bos"] is None else ids["bos"], "eos": ids["eos"]}
        ids["eos"] = next(iter(ends), None) if ids["eos"] is None else ids["eos"]
    found: dict[str, NewValue] = {
        f"tokenizer.ggml.{key}_token_id": number
        for key, number in ids.items()
        if number is not None and 0 <= number < len(vocabulary.tokens)
    }
    if family.arch == "bert":
        found["tokenizer.ggml.token_type_count"] = config.type_vocab_size
    for key in ("add_bos_token", "add_eos_token"):
        if isinstance(told.get(key), bool):
            found[f"tokenizer.ggml.{key}"] = told[key] is True
    template = (
        _read(files, "chat_template.jinja").decode("utf-8", "replace") if "chat_template.jinja" in files else None
    )
    template = told.get("chat_template") if template is None else template
    if isinstance(template, str) and template:
        found["tokenizer.chat_template"] = template
    return found


def _id_of(vocabulary: Vocabulary, token: Json) -> int | None:
    text = token.get("content") if isinstance(token, dict) else token
    return vocabulary.tokens.index(text) if isinstance(text, str) and text in vocabulary.tokens else None


def _tokenizer_config(files: Mapping[str, Path]) -> dict[str, Json]:
    if "tokenizer_config.json" not in files:
        return {}
    try:
        return msgspec.json.decode(_read(files, "tokenizer_config.json"), type=dict[str, Json])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError("malformed tokenizer_config.json") from exc


def _read(files: Mapping[str, Path], name: str) -> bytes:
    if name not in files:
        raise InvalidFileError(f"{name} is missing; add it to the files of the model")
    with files[name].open("rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise InvalidFileError(f"{name} is larger than {MAX_TEXT_BYTES >> 20} MiB")
    return data


def _encoded(values: Mapping[str, NewValue]) -> dict[str, bytes]:
    return {key: encode_value(value) for key, value in values.items()}
