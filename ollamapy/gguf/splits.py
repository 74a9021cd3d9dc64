"""Models that are split into several GGUF files.

The first file has the metadata, and each has some of the tensors. Source: llama.cpp's `split.no`, `split.count` and
`split.tensors.count`, and the file names of its `llama_split_path`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ollamapy.errors import InvalidFileError
from ollamapy.gguf.header import Header

_NAME = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.gguf)", re.IGNORECASE | re.DOTALL)


def join_headers(headers: Sequence[Header]) -> Header:
    """Return the header of a model, given those of its files in order: the first one's, with the tensors of all.

    Offsets of tensors stay those within their own file.

    Raises:
        InvalidFileError: they are not the files of one model, whole and in order.
    """
    first, *others = headers
    if not others and first.split_count == 1:
        return first
    if 1 in {header.split_count for header in headers}:
        raise InvalidFileError("several files have weights, and they are not the parts of one model")
    numbers = [header.split_number for header in headers]
    if {header.split_count for header in headers} != {len(headers)} or numbers != list(range(len(headers))):
        raise InvalidFileError(
            f"the model is split into {first.split_count} files, but those here are the parts "
            f"{', '.join(str(number + 1) for number in numbers[:20])}; each part is needed once"
        )
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if first.integer("split.tensors.count") not in (None, len(tensors)):
        raise InvalidFileError(
            f"the parts have {len(tensors)} tensors together, the model has {first.integer('split.tensors.count')}; "
            "they belong to different models, or one was cut: get them again"
        )
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise InvalidFileError("two parts of the split model have the same tensor; they belong to different models")
    return replace(first, tensors=tensors)


def names_of_parts(name: str) -> tuple[str, ...]:
    """Return the names of all files of the model, given that of one; the name alone where it is none of several."""
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match[2]) <= int(match[3]):
        return (name,)
    prefix, count, suffix = match[1], match[3], match[4]
    return tuple(f"{prefix}-{number:05d}-of-{count}{suffix}" for number in range(1, int(count) + 1))
