"""The header of a GGUF file as a record: metadata, tensor table, and what is derived from them."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ollamapy.errors import InvalidFileError
from ollamapy.gguf.types import BOOL, FILE_TYPES, SCALARS, STRING
from ollamapy.gguf.window import Window

Value = str | bool | int | float


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """An array that was not read: `count` elements of a value type, from byte `offset` on."""

    element_type: int
    count: int
    offset: int

    @property
    def type_name(self) -> str:
        """Name of the element type, such as `string` or `uint32`."""
        return "string" if self.element_type == STRING else SCALARS[self.element_type][2]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One row of the tensor table; `shape` in GGUF's order (fastest first), `offset` from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size_bytes: int

    @property
    def element_count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Everything in front of the tensor data. Arrays are read from the file when asked for; sizes are bytes."""

    path: Path = field(repr=False)
    stamp: tuple[int, int, int] = field(repr=False)
    version: int
    metadata: Mapping[str, Value | ArrayRef] = field(repr=False)
    tensors: tuple[TensorInfo, ...] = field(repr=False)
    alignment: int
    data_offset: int
    file_size: int

    @cached_property
    def architecture(self) -> str:
        """`general.architecture`, or "" where it is missing."""
        return self.text("general.architecture") or ""

    @cached_property
    def kind(self) -> str:
        """`model`, `adapter` or `projector`."""
        if self.text("general.type") == "adapter":
            return "adapter"
        has_vision_only = f"{self.architecture}.vision.block_count" in self.metadata and not self.block_count
        is_projector = self.text("general.type") in ("mmproj", "projector") or self.architecture == "clip"
        return "projector" if is_projector or has_vision_only else "model"

    @cached_property
    def file_type(self) -> str:
        """Name of the quantization, such as `Q4_K_M`: the file's own word, else the type that most elements have."""
        number = self.integer("general.file_type")
        if number is not None and number in FILE_TYPES:
            return FILE_TYPES[number]
        elements: Counter[str] = Counter()
        for tensor in self.tensors:
            elements[tensor.type_name] += tensor.element_count
        return elements.most_common(1)[0][0] if elements else "unknown"

    @cached_property
    def parameter_count(self) -> int:
        """Number of elements of all tensors."""
        return sum(tensor.element_count for tensor in self.tensors)

    @property
    def parameter_size(self) -> str:
        """The number of parameters for people: `3.2B`, `134.52M`."""
        return human_number(self.parameter_count)

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was trained for."""
        return self.integer(f"{self.architecture}.context_length")

    @property
    def embedding_length(self) -> int | None:
        """Width of the model's embeddings."""
        return self.integer(f"{self.architecture}.embedding_length")

    @property
    def block_count(self) -> int | None:
        """Number of layers."""
        return self.integer(f"{self.architecture}.block_count")

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, 0 where the file has no vocabulary."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.count if isinstance(tokens, ArrayRef) else 0

    @property
    def has_pooling(self) -> bool:
        """Whether the model pools its outputs: an embedding model."""
        return f"{self.architecture}.pooling_type" in self.metadata

    @property
    def has_vision(self) -> bool:
        """Whether the file itself holds a vision encoder."""
        return f"{self.architecture}.vision.block_count" in self.metadata

    @property
    def has_audio(self) -> bool:
        """Whether the file itself holds an audio encoder."""
        return f"{self.architecture}.audio.block_count" in self.metadata

    @property
    def split_count(self) -> int:
        """Number of files that the model is split into; 1 for a whole one."""
        return self.integer("split.count") or 1

    @property
    def split_number(self) -> int:
        """Which part of a split model this file is, counted from 0."""
        return self.integer("split.no") or 0

    def chat_template(self, name: str | None = None) -> str | None:
        """Return the Jinja chat template, or the one of that name (`tool_use`), or None."""
        return self.text("tokenizer.chat_template" + (f".{name}" if name else ""))

    def text(self, key: str) -> str | None:
        """Return a value if it is there and a string."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """Return a value if it is there and a whole number."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def array(self, key: str, limit: int | None = None) -> list[Value]:
        """Read an array from the file now, or its first `limit` elements; [] if there is none under this key.

        Bytes of a string that are not UTF-8 come back as replacement characters.

        Raises:
            InvalidFileError: the file changed since its header was read.
        """
        reference = self.metadata.get(key)
        if not isinstance(reference, ArrayRef):
            return []
        count = reference.count if limit is None else min(limit, reference.count)
        with Window(self.path) as window:
            if window.stamp != self.stamp:
                raise InvalidFileError("the GGUF file changed while it was in use; load the model again")
            window.seek(reference.offset)
            if reference.element_type == STRING:
                return [window.string_bytes().decode("utf-8", "replace") for _ in range(count)]
            return list(_unpack_scalars(window, reference.element_type, count))


def _unpack_scalars(window: Window, value_type: int, count: int) -> tuple[Value, ...]:
    code, size, _ = SCALARS[value_type]
    values: tuple[Value, ...] = struct.unpack(f"<{count}{code}", window.read(count * size))
    return tuple(bool(value) for value in values) if value_type == BOOL else values


def human_number(number: int) -> str:
    """Format a count as Ollama does: 999, 26K, 134.52M, 3.2B; whole multiples without decimals."""
    for size, letter, decimals in ((10**9, "B", 1), (10**6, "M", 2)):
        if number >= size:
            return f"{number / size:.{0 if number % size == 0 else decimals}f}{letter}"
    return f"{number / 1000:.0f}K" if number >= 1000 else str(number)
