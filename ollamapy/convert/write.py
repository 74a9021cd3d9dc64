"""Writes the file that a draft describes, a piece at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ollamapy.convert.draft import Draft, MadeTensor, RawValue
from ollamapy.errors import InvalidFileError
from ollamapy.gguf import TensorInfo
from ollamapy.gguf.types import DEFAULT_ALIGNMENT, MAGIC, TENSOR_TYPES

VERSION = 3
PIECE_BYTES = 8 << 20
_TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}
_KINDS = {kind.name: kind for kind in TENSOR_TYPES.values()}
_ALIGNMENT_KEY = "general.alignment"

Floats = npt.NDArray[np.float32]


def write_draft(draft: Draft, target: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    """Write a file; `on_bytes` is told the size of each piece of tensor data. Blocks.

    Raises:
        InvalidFileError: a tensor is of a type that can't be changed as it must be.
    """
    with draft.header.path.open("rb") as source:
        _write_head(draft, source, target)
        for tensor in draft.tensors:
            written = 0
            for piece in _data_of(tensor, draft.header.data_offset, source):
                target.write(piece)
                written += len(piece)
                on_bytes(len(piece))
            if written != size_of(tensor):
                raise InvalidFileError(f"the tensor {tensor.name!r} has {written} bytes instead of {size_of(tensor)}")
            target.write(bytes(-written % DEFAULT_ALIGNMENT))
    target.flush()


def size_of(tensor: MadeTensor) -> int:
    """Return the bytes that a tensor will have."""
    kind, count = _KINDS[tensor.type_name], 1
    for length in tensor.shape:
        count *= length
    return count // kind.block_elements * kind.block_bytes


def _write_head(draft: Draft, source: BinaryIO, target: BinaryIO) -> None:
    values = {key: value for key, value in draft.values.items() if key != _ALIGNMENT_KEY}
    size = target.write(struct.pack("<4sIQQ", MAGIC, VERSION, len(draft.tensors), len(values)))
    for key, value in values.items():
        size += target.write(_string(key))
        if isinstance(value, RawValue):
            size += target.write(struct.pack("<I", value.value_type) + value.head)
            size += sum(target.write(piece) for piece in _pieces(source, value.start, value.end))
        else:
            size += target.write(value)
    offset = 0
    for tensor in draft.tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        size += target.write(_string(tensor.name) + shape + struct.pack("<IQ", _TYPE_NUMBERS[tensor.type_name], offset))
        offset += -(-size_of(tensor) // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT
    target.write(bytes(-size % DEFAULT_ALIGNMENT))


def _data_of(tensor: MadeTensor, data_offset: int, source: BinaryIO) -> Iterator[bytes]:
    for info in tensor.sources:
        start = data_offset + info.offset
        if tensor.making == "join":
            yield from _pieces(source, start, start + info.size_bytes)
        elif tensor.making == "widen":
            yield from _widened(info, source, start)
        else:
            yield _frame(tensor, _all_floats(info, source, start))


def _widened(info: TensorInfo, source: BinaryIO, start: int) -> Iterator[bytes]:
    for piece in _pieces(source, start, start + info.size_bytes, _KINDS[info.type_name].block_bytes):
        yield _floats(info.type_name, piece).tobytes()


def _all_floats(info: TensorInfo, source: BinaryIO, start: int) -> Floats:
    return np.frombuffer(b"".join(_widened(info, source, start)), np.float32)


def _frame(tensor: MadeTensor, values: Floats) -> bytes:
    width, height, channels, outputs = tensor.shape
    frames = values.reshape(outputs * channels, 2, height * width)
    return np.ascontiguousarray(frames[:, int(tensor.making[-1])]).tobytes()


def _floats(type_name: str, data: bytes) -> Floats:
    if type_name == "F32":
        return np.frombuffer(data, "<f4").astype(np.float32)
    if type_name == "F16":
        return np.frombuffer(data, "<f2").astype(np.float32)
    if type_name == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if type_name == "Q8_0":
        blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("values", "i1", 32)]))
        scaled: Floats = blocks["values"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]
        return scaled.reshape(-1)
    raise InvalidFileError(f"a tensor of its vision encoder is {type_name}, which can't be changed to F32")


def _pieces(source: BinaryIO, start: int, end: int, multiple: int = 1) -> Iterator[bytes]:
    """Yield the bytes [start, end), in pieces of a multiple of that many."""
    source.seek(start)
    most = PIECE_BYTES // multiple * multiple
    while start < end:
        piece = source.read(min(most, end - start))
        if not piece:
            raise InvalidFileError("the GGUF file became shorter while it was read; write it again")
        start += len(piece)
        yield piece


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
