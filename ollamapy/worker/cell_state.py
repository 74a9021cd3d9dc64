"""The content of KV cells as bytes and back, and all that it depends on."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as api

from ollamapy.worker.llama import Llama

_LONGEST_VALUE = 128


class CellState:
    """Reads and writes the cells of a loaded model, a sequence at a time."""

    def __init__(self, llama: Llama) -> None:
        self._context, self._model = llama.handles
        self._memory = api.llama_get_memory(self._context)
        self._n_ctx = llama.n_ctx
        self.n_vocab = llama.n_vocab

    def size_bytes(self, seq_id: int) -> int:
        """Return how many bytes `read` would give."""
        return int(api.llama_state_seq_get_size(self._context, seq_id))

    def read(self, seq_id: int) -> bytearray:
        """Return keys and values of a sequence; empty where llama.cpp can't tell them."""
        data = bytearray(self.size_bytes(seq_id))
        size = int(api.llama_state_seq_get_data(self._context, _pointer(data), len(data), seq_id))
        return data if size == len(data) else bytearray()

    def write(self, seq_id: int, start: int, end: int, data: memoryview) -> bool:
        """Give an unused sequence what `read` gave for positions [start, end). False if it does not have that then.

        llama.cpp trusts these bytes: they must be its own.
        """
        size = int(api.llama_state_seq_set_data(self._context, _pointer(data), len(data), seq_id))
        first = int(api.llama_memory_seq_pos_min(self._memory, seq_id))
        last = int(api.llama_memory_seq_pos_max(self._memory, seq_id))
        return size == len(data) and (first, last) == (start, end - 1)

    def made_by(self) -> str:
        """Return what tells this build of llama.cpp, on this machine, from others, and which RoPE factors it uses."""
        library = Path(api._lib._name).stat()
        system = api.llama_print_system_info().decode(errors="replace")
        rope = "long" if self._has_long_rope() else "short"
        return f"{llama_cpp.__version__} {library.st_size} {library.st_mtime_ns} {system} {rope}"

    def _has_long_rope(self) -> bool:
        """Whether the context is so long that a model with two sets of RoPE factors takes the one for long texts."""
        architecture = self._metadata("general.architecture")
        original = self._metadata(f"{architecture}.rope.scaling.original_context_length")
        return original.isdecimal() and self._n_ctx > int(original)

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(_LONGEST_VALUE)
        size = int(api.llama_model_meta_val_str(self._model, key.encode(), buffer, _LONGEST_VALUE))
        return buffer.value.decode(errors="replace") if size >= 0 else ""


def _pointer(data: bytearray | memoryview) -> Any:
    return ctypes.cast((ctypes.c_uint8 * len(data)).from_buffer(data), ctypes.POINTER(ctypes.c_uint8))
