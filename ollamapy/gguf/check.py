"""The rules that a GGUF file must obey before llama.cpp may see it, whatever it is: model, adapter or projector."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ollamapy.errors import InvalidFileError
from ollamapy.gguf.header import ArrayRef, Header
from ollamapy.gguf.parse import parse
from ollamapy.gguf.types import STRING

MAX_TEMPLATE_CHARACTERS = 1 << 20
MAX_SPLITS = 1 << 10

_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TOKENS = "tokenizer.ggml.tokens"
# Key endings and the largest value that a real model may have there; arrays hold one value per layer.
_LIMITS = {
    ".context_length": 2**31 - 1,
    ".block_count": 1024,
    ".embedding_length": 1 << 20,
    ".attention.head_count": 1 << 16,
    ".attention.head_count_kv": 1 << 16,
}
_REQUIRED = (".block_count", ".embedding_length")
# Recurrent models have layers, or nothing but layers, without attention heads: zero heads are theirs alone.
_RECURRENT_KEYS = (".ssm.state_size", ".wkv.head_size", ".shortconv.l_cache")
_TOKEN_ARRAYS = {"tokenizer.ggml.scores": ("float32",), "tokenizer.ggml.token_type": ("int32", "uint32")}


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file without its arrays: some milliseconds, whatever the size of the vocabulary.

    Raises:
        InvalidFileError: the file is no GGUF file of a known version, is truncated, or exceeds a limit.
    """
    return parse(path, exact=False)


def check_file(path: Path) -> Header:
    """Read the header exactly and check all that llama.cpp relies on: tensor data, shapes, vocabulary.

    Raises:
        InvalidFileError: the file is not fit to be loaded, and why.
    """
    header = parse(path, exact=True)
    _check_tensors(header)
    _check_split(header)
    if header.split_number > 0:
        return header
    _check_architecture(header)
    _check_vocabulary(header)
    _check_templates(header)
    return header


def read_head(path: Path) -> Header:
    """Return the header of a file of which only the beginning is there; blocks.

    What it says is not checked: it must never reach llama.cpp. Raises InvalidFileError for too short a beginning.
    """
    return parse(path, exact=True)


def _check_tensors(header: Header) -> None:
    """Every tensor lies aligned within the file, and no two share a byte or a name."""
    if not header.tensors and header.split_count == 1:
        raise InvalidFileError("the GGUF file has no tensors, only a vocabulary; it can't be run")
    if len({tensor.name for tensor in header.tensors}) != len(header.tensors):
        raise InvalidFileError("malformed GGUF: two tensors have the same name")
    end = 0
    for tensor in sorted(header.tensors, key=lambda tensor: tensor.offset):
        if tensor.offset % header.alignment:
            raise InvalidFileError(f"malformed GGUF: the tensor {tensor.name!r} is not aligned")
        if tensor.offset < end:
            raise InvalidFileError(f"malformed GGUF: the tensor {tensor.name!r} overlaps another one")
        end = tensor.offset + tensor.size_bytes
        if header.data_offset + end > header.file_size:
            raise InvalidFileError(
                f"truncated GGUF: the tensor {tensor.name!r} ends at byte {header.data_offset + end}, but the file has "
                f"{header.file_size} bytes; get it again"
            )


def _check_split(header: Header) -> None:
    keys = ("split.no", "split.count", "split.tensors.count")
    if not any(key in header.metadata for key in keys):
        return
    number, count, tensors = (header.integer(key) for key in keys)
    if number is None or count is None or not 0 <= number < count <= MAX_SPLITS:
        raise InvalidFileError("malformed GGUF: split.no and split.count contradict each other")
    if tensors is not None and not len(header.tensors) <= tensors:
        raise InvalidFileError("malformed GGUF: split.tensors.count is smaller than the number of tensors here")


def _check_architecture(header: Header) -> None:
    if not _ARCHITECTURE.fullmatch(header.architecture):
        raise InvalidFileError("malformed GGUF: general.architecture is missing or no name; convert the model again")
    if header.kind == "model":
        for ending in _REQUIRED:
            if header.architecture + ending not in header.metadata:
                raise InvalidFileError(f"malformed GGUF: {header.architecture}{ending} is missing")
    is_recurrent = any(header.architecture + ending in header.metadata for ending in _RECURRENT_KEYS)
    for key in header.metadata:
        for ending, limit in _LIMITS.items():
            if key.endswith(ending):
                _check_hyperparameter(header, key, limit, may_be_zero=is_recurrent and ".head_count" in ending)


def _check_hyperparameter(header: Header, key: str, limit: int, *, may_be_zero: bool) -> None:
    values = list(_numbers(header, key))
    if not values or any(not 0 <= value <= limit for value in values):
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} must be a whole number from 1 to {limit}")
    if not any(values) and not may_be_zero:
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} must not be 0")


def _numbers(header: Header, key: str) -> Iterator[int]:
    """Yield the whole numbers under a key, -1 for anything else."""
    reference = header.metadata[key]
    if not isinstance(reference, ArrayRef):
        number = header.integer(key)
        yield -1 if number is None else number
    elif reference.count > _LIMITS[".block_count"] or reference.element_type == STRING:
        yield -1
    else:
        for value in header.array(key):
            yield value if isinstance(value, int) and not isinstance(value, bool) else -1


def _check_vocabulary(header: Header) -> None:
    """llama.cpp reads scores and types as arrays of 4-byte numbers, as long as the tokens, whatever they are."""
    tokens = _array(header, _TOKENS, ("string",))
    _array(header, "tokenizer.ggml.merges", ("string",))
    for key, types in _TOKEN_ARRAYS.items():
        array = _array(header, key, types)
        if array is not None and array.count != (tokens.count if tokens else 0):
            raise InvalidFileError(f"malformed GGUF: {key} and {_TOKENS} differ in length")
    if tokens is not None and tokens.count == 0:
        raise InvalidFileError(f"malformed GGUF: {_TOKENS} is empty")


def _array(header: Header, key: str, types: tuple[str, ...]) -> ArrayRef | None:
    value = header.metadata.get(key)
    if value is None:
        return None
    if not isinstance(value, ArrayRef) or value.type_name not in types:
        raise InvalidFileError(f"malformed GGUF: {key} must be an array of {' or '.join(types)}")
    return value


def _check_templates(header: Header) -> None:
    for key, value in header.metadata.items():
        if not key.startswith("tokenizer.chat_template") or isinstance(value, ArrayRef):
            continue
        if not isinstance(value, str) or len(value) > MAX_TEMPLATE_CHARACTERS:
            raise InvalidFileError(f"malformed GGUF: {key[:80]!r} must be a text of at most 1 MiB")
