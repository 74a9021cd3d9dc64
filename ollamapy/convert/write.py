"""Writes GGUF files a piece at a time. Source: ggml's docs/gguf.md."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
OnBytes = Callable[[int], None]
Value = bytes | Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class OutTensor:
    """A tensor to be written, `shape` in GGUF's order; `pieces` yields its data from the start."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    pieces: Callable[[], Iterator[bytes]]

    @property
    def size_bytes(self) -> int:
        """Bytes of its data."""
        kind = _KINDS[self.type_name]
        return math.prod(self.shape) // kind.block_elements * kind.block_bytes


def write_file(
    values: Mapping[str, Value],
    tensors: Sequence[OutTensor],
    target: BinaryIO,
    on_bytes: OnBytes,
) -> None:
    """Write a file; values begin with their type. `on_bytes` is told the size of each piece of data.

    Raises:
        InvalidFileError: a tensor can't be made as it has to be.
    """
    size = target.write(struct.pack("<4sIQQ", MAGIC, VERSION, len(tensors), len(values)))
    for key, value in values.items():
        size += target.write(_string(key)) + sum(map(target.write, [value] if isinstance(value, bytes) else value()))
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        size += target.write(_string(tensor.name) + shape + struct.pack("<IQ", _TYPE_NUMBERS[tensor.type_name], offset))
        offset += -(-tensor.size_bytes // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT
    target.write(bytes(-size % DEFAULT_ALIGNMENT))
    for tensor in tensors:
        written = 0
        for piece in tensor.pieces():
            written += target.write(piece)
            on_bytes(len(piece))
        if written != tensor.size_bytes:
            raise InvalidFileError(f"the tensor {tensor.name!r} has {written} bytes instead of {tensor.size_bytes}")
        target.write(bytes(-written % DEFAULT_ALIGNMENT))
    target.flush()


def write_draft(draft: Draft, target: BinaryIO, on_bytes: OnBytes) -> None:
    """Write the file that a draft describes; raises as `write_file` does."""
    with draft.header.path.open("rb") as source:
        values = {key: _value_of(value, source) for key, value in draft.values.items() if key != _ALIGNMENT_KEY}
        write_file(values, tensors_of(draft, source), target, on_bytes)


def tensors_of(draft: Draft, source: BinaryIO) -> list[OutTensor]:
    """Return what is written of a draft."""
    start = draft.header.data_offset
    return [OutTensor(t.name, t.shape, t.type_name, _data_of(t, start, source)) for t in draft.tensors]


def size_of(draft: Draft) -> int:
    """Return the bytes of a draft's tensors."""
    kinds = ((_KINDS[tensor.type_name], math.prod(tensor.shape)) for tensor in draft.tensors)
    return sum(count // kind.block_elements * kind.block_bytes for kind, count in kinds)


def floats_of(type_name: str, data: bytes) -> Floats:
    """Return numbers of a type as float32; raises InvalidFileError for a type that can't be changed."""
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
    raise InvalidFileError(f"a tensor is of the type {type_name}, whose numbers can't be changed to another type")


def pieces_of(source: BinaryIO, start: int, end: int, multiple: int = 1) -> Iterator[bytes]:
    """Yield the bytes [start, end) of a file, in pieces of a multiple of that many."""
    most = max(PIECE_BYTES // multiple, 1) * multiple
    while start < end:
        source.seek(start)
        piece = source.read(min(most, end - start))
        if len(piece) < min(most, end - start):
            raise InvalidFileError("the file became shorter while it was read; write it again")
        start += len(piece)
        yield piece


def _value_of(value: RawValue | bytes, source: BinaryIO) -> Value:
    if isinstance(value, bytes):
        return value
    raw = value

    def pieces() -> Iterator[bytes]:
        yield struct.pack("<I", raw.value_type) + raw.head
        yield from pieces_of(source, raw.start, raw.end)

    return pieces


def _data_of(tensor: MadeTensor, data_offset: int, source: BinaryIO) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        for info in tensor.sources:
            start = data_offset + info.offset
            if tensor.making == "join":
                yield from pieces_of(source, start, start + info.size_bytes)
            elif tensor.making == "widen":
                yield from _widened(info, source, start)
            else:
                yield _frame(tensor, np.frombuffer(b"".join(_widened(info, source, start)), np.float32))

    return pieces


def _widened(info: TensorInfo, source: BinaryIO, start: int) -> Iterator[bytes]:
    for piece in pieces_of(source, start, start + info.size_bytes, _KINDS[info.type_name].block_bytes):
        yield floats_of(info.type_name, piece).tobytes()


def _frame(tensor: MadeTensor, values: Floats) -> bytes:
    width, height, channels, outputs = tensor.shape
    frames = values.reshape(outputs * channels, 2, height * width)
    return np.ascontiguousarray(frames[:, int(tensor.making[-1])]).tobytes()


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
