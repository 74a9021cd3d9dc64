"""The tables of safetensors files, read within bounds.

Source: the format's description in huggingface/safetensors: 8 bytes of length, a JSON table, the data.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ollamapy.errors import InvalidFileError, UnsupportedError

MAX_TABLE_BYTES = 64 << 20
MAX_TENSORS = 1 << 16
MAX_DIMENSIONS = 4
TYPES: Mapping[str, tuple[str, int]] = {"F32": ("F32", 4), "F16": ("F16", 2), "BF16": ("BF16", 2), "F64": ("F64", 8),
    "I64": ("I64", 8), "I32": ("I32", 4), "I16": ("I16", 2), "I8": ("I8", 1), "U8": ("", 1), "BOOL": ("", 1),
    "F8_E4M3": ("", 1), "F8_E5M2": ("", 1), "U16": ("", 2), "U32": ("", 4), "U64": ("", 8)}  # fmt: skip
"""Names of element types here and in GGUF, "" where that has none, with their bytes."""


@dataclass(frozen=True, slots=True)
class SourceTensor:
    """A tensor in a file: `shape` with the slowest dimension first, `offset` from the file's start, in bytes."""

    name: str
    path: Path
    type_name: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


class _Row(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_tables(paths: Iterable[Path]) -> dict[str, SourceTensor]:
    """Return the tensors of all these files by name; raises InvalidFileError where one is there twice."""
    found: dict[str, SourceTensor] = {}
    for path in paths:
        for tensor in read_table(path):
            if tensor.name in found:
                raise InvalidFileError(f"two safetensors files have the tensor {tensor.name[:80]!r}")
            found[tensor.name] = tensor
    return found


def read_table(path: Path) -> list[SourceTensor]:
    """Return the tensors of a file; each lies within it, and no two share a byte.

    Raises:
        InvalidFileError: it is no such file, or is truncated or malformed.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise InvalidFileError(f"can't open the safetensors file: {exc.strerror}") from exc
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidFileError("not a safetensors file: it is no regular file")
        length = int.from_bytes(os.pread(file, 8, 0), "little")
        if not 2 <= length <= min(MAX_TABLE_BYTES, status.st_size - 8):
            raise InvalidFileError("malformed safetensors: the table of tensors does not fit into the file")
        table = os.pread(file, length, 8)
    finally:
        os.close(file)
    tensors = [_tensor(path, name, row, 8 + length) for name, row in _rows(table).items()]
    _check_places(tensors, 8 + length, status.st_size)
    return tensors


def _rows(table: bytes) -> dict[str, _Row]:
    try:
        raw = msgspec.json.decode(table, type=dict[str, msgspec.Raw])
        raw.pop("__metadata__", None)
        if len(raw) > MAX_TENSORS:
            raise InvalidFileError(f"malformed safetensors: {len(raw)} tensors, more than {MAX_TENSORS}")
        return {name: msgspec.json.decode(row, type=_Row) for name, row in raw.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidFileError("malformed safetensors: its table of tensors can't be read") from exc


def _tensor(path: Path, name: str, row: _Row, data_offset: int) -> SourceTensor:
    if row.dtype not in TYPES:
        raise UnsupportedError(f"the tensor {name[:80]!r} has the type {row.dtype[:20]!r}, which is unknown here")
    start, end = row.data_offsets
    if not 0 <= len(row.shape) <= MAX_DIMENSIONS or any(not 0 < length <= 1 << 40 for length in row.shape):
        raise InvalidFileError(f"malformed safetensors: the tensor {name[:80]!r} has an impossible shape")
    if not 0 <= start <= end or end - start != math.prod(row.shape) * TYPES[row.dtype][1]:
        raise InvalidFileError(f"malformed safetensors: the tensor {name[:80]!r} has not the size of its shape")
    return SourceTensor(name, path, row.dtype, tuple(row.shape), data_offset + start, end - start)


def _check_places(tensors: list[SourceTensor], data_offset: int, file_size: int) -> None:
    position = data_offset
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.size_bytes)):
        if tensor.offset < position:
            raise InvalidFileError(f"malformed safetensors: the tensor {tensor.name[:80]!r} overlaps another one")
        position = tensor.offset + tensor.size_bytes
    if position > file_size:
        raise InvalidFileError(f"truncated safetensors: the data ends at byte {position}, the file has {file_size}")
