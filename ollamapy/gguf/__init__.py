"""Reading GGUF files: the header, lazily and within bounds, and the check that a file must pass before llama.cpp."""

from __future__ import annotations

from ollamapy.gguf.check import check_file, read_head, read_header
from ollamapy.gguf.header import ArrayRef, Header, TensorInfo, Value, human_number
from ollamapy.gguf.splits import join_headers, names_of_parts

__all__ = [
    "ArrayRef",
    "Header",
    "TensorInfo",
    "Value",
    "check_file",
    "human_number",
    "join_headers",
    "names_of_parts",
    "read_head",
    "read_header",
]
