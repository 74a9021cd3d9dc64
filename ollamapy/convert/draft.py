"""A GGUF file in the making out of another one: metadata and tensors, mostly references to bytes of the source.

Source: ggml's docs/gguf.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import Header, TensorInfo
from ollamapy.gguf.types import ARRAY, BOOL, SCALARS, STRING
from ollamapy.gguf.window import Window

UINT32, INT32, FLOAT32 = 4, 5, 6
NewValue = str | bool | int | float | Sequence[int] | Sequence[float]
_PREAMBLE_BYTES = 24
_MAX_KEY_BYTES = 512

Making = Literal["join", "widen", "frame 0", "frame 1"]
"""How a tensor is made: its sources' bytes one after another; their numbers as F32; one frame of a patch embedding."""


@dataclass(frozen=True, slots=True)
class RawValue:
    """A metadata value of the source: its type, what comes first, and then the source's bytes [start, end)."""

    value_type: int
    head: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MadeTensor:
    """A tensor to be written, `shape` in GGUF's order."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    sources: tuple[TensorInfo, ...]
    making: Making = "join"


class Draft:
    """Metadata and tensors of a file to be written; begins as all of the source's."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.values: dict[str, RawValue | bytes] = dict(_read_values(header))
        self.tensors = [MadeTensor(t.name, t.shape, t.type_name, (t,)) for t in header.tensors]

    # ---- metadata

    def set(self, key: str, value: NewValue) -> None:
        """Set a value; whole numbers become uint32, those in lists int32, others float32."""
        self.values[key] = encode_value(value)

    def default(self, key: str, value: NewValue) -> None:
        """Set a value where there is none."""
        if key not in self.values:
            self.set(key, value)

    def copy(self, key: str, new: str) -> None:
        """Give a value a second key, unless that has one."""
        if key in self.values and new not in self.values:
            self.values[new] = self.values[key]

    def rename_keys(self, prefix: str, new: str) -> None:
        """Replace what keys begin with."""
        self.values = {new + k.removeprefix(prefix) if k.startswith(prefix) else k: v for k, v in self.values.items()}

    def keep_keys(self, is_kept: Callable[[str], bool]) -> None:
        """Drop all other metadata."""
        self.values = {key: value for key, value in self.values.items() if is_kept(key)}

    def cut_array(self, key: str, count: int) -> None:
        """Shorten an array to its first elements."""
        reference, raw = self.header.metadata.get(key), self.values.get(key)
        if not isinstance(raw, RawValue) or raw.value_type != ARRAY or getattr(reference, "count", 0) <= count:
            return
        element_type = struct.unpack("<I", raw.head[:4])[0]
        with Window(self.header.path) as window:
            window.seek(raw.start)
            if element_type == STRING:
                window.skip_strings(count)
            else:
                window.skip(count * SCALARS[element_type][1])
            self.values[key] = replace(raw, head=struct.pack("<IQ", element_type, count), end=window.position)

    # ---- tensors

    def tensor(self, name: str) -> MadeTensor | None:
        """Return the tensor of that name."""
        return next((tensor for tensor in self.tensors if tensor.name == name), None)

    def keep_tensors(self, is_kept: Callable[[str], bool]) -> None:
        """Drop all other tensors."""
        self.tensors = [tensor for tensor in self.tensors if is_kept(tensor.name)]

    def rename_tensors(self, *pairs: tuple[str, str]) -> None:
        """Replace the first occurrence of a part of tensors' names; one pair after the other."""
        for part, new in pairs:
            self.tensors = [replace(tensor, name=tensor.name.replace(part, new, 1)) for tensor in self.tensors]

    def widen(self, *names: str) -> None:
        """Write these tensors as F32."""
        self.tensors = [
            replace(tensor, type_name="F32", making="widen") if tensor.name in names else tensor
            for tensor in self.tensors
        ]

    def replace_tensors(self, names: Sequence[str], *new: MadeTensor) -> None:
        """Put tensors in the place of others."""
        self.tensors = [tensor for tensor in self.tensors if tensor.name not in names] + list(new)


def _read_values(header: Header) -> dict[str, RawValue]:
    """Return where each value of the metadata lies."""
    values = {}
    with Window(header.path) as window:
        if window.stamp != header.stamp:
            raise InvalidFileError("the GGUF file changed while it was in use; load the model again")
        window.seek(_PREAMBLE_BYTES)
        for _ in header.metadata:
            key = window.string_bytes(_MAX_KEY_BYTES).decode()
            value_type = window.u32()
            values[key] = _skip_value(window, value_type)
    return values


def _skip_value(window: Window, value_type: int) -> RawValue:
    head = b""
    start = window.position
    if value_type == STRING:
        window.skip_strings(1)
    elif value_type == ARRAY:
        element_type, count = window.u32(), window.u64()
        head, start = struct.pack("<IQ", element_type, count), window.position
        if element_type == STRING:
            window.skip_strings(count)
        else:
            window.skip(count * SCALARS[element_type][1])
    else:
        window.skip(SCALARS[value_type][1])
    return RawValue(value_type, head, start, window.position)


def encode_value(value: NewValue) -> bytes:
    """Return a value with its type in front: uint32, float32, bool, text, or a list of int32, float32 or bool."""
    if isinstance(value, str):
        data = value.encode()
        return struct.pack("<IQ", STRING, len(data)) + data
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    kind = BOOL if all(isinstance(v, bool) for v in value) else FLOAT32
    if kind == FLOAT32 and all(isinstance(v, int) for v in value):
        kind = INT32
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + struct.pack(f"<{len(value)}{SCALARS[kind][0]}", *value)


def encode_texts(texts: Sequence[str]) -> bytes:
    """Return a list of texts with its type in front."""
    pieces = [struct.pack("<IIQ", ARRAY, STRING, len(texts))]
    for text in texts:
        data = text.encode("utf-8", "replace")
        pieces += [struct.pack("<Q", len(data)), data]
    return b"".join(pieces)
