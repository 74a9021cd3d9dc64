"""Parsing the head of a GGUF file within bounds, arrays skipped.

A vocabulary of 262,144 tokens and its merges take 40 ms to walk over string by string. `parse` can instead look for
the entry behind a long array: what it finds there must then be well-formed to the last tensor, or everything is parsed
again exactly. `check.py` always parses exactly, so that a file handed to llama.cpp is one that both read alike.

Source: ggml's docs/gguf.md; the limits are ours.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from ollamapy.errors import InvalidFileError
from ollamapy.gguf.header import ArrayRef, Header, TensorInfo, Value
from ollamapy.gguf.types import ARRAY, DEFAULT_ALIGNMENT, MAGIC, SCALARS, STRING, TENSOR_TYPES
from ollamapy.gguf.window import MAX_HEADER_BYTES, Window

MAX_KEYS = 1 << 14
MAX_TENSORS = 1 << 15
MAX_KEY_BYTES = 512
MAX_TENSOR_NAME_BYTES = 63
MAX_ARRAY_ELEMENTS = 1 << 22
MAX_STRING_ARRAY_ELEMENTS = 1 << 20
MAX_DIMENSION = 1 << 40
MAX_ELEMENTS = 1 << 56
MAX_ALIGNMENT = 1 << 16

_MIN_KEY_BYTES, _MIN_TENSOR_BYTES = 13, 33
_OLD_MAGICS = (b"lmgg", b"fmgg", b"tjgg", b"algg", b"fugg", b"GGML", b"GGLA", b"GGJT", b"GGMF")
_LONG_ARRAY = 4096
_USUAL_STRING_BYTES = 48
_KEY_NEEDLES = (bytes(7) + b"tokenizer.", bytes(7) + b"general.")  # the zeros of the length make the search fast
_KNOWN_KEY = re.compile(rb"(tokenizer\.(ggml|chat_template|huggingface)|general\.[a-z0-9_]+)[a-z0-9_.]*")


def parse(path: Path, *, exact: bool) -> Header:
    """Parse the head of a file; raises InvalidFileError where it is none of a GGUF file, or exceeds a limit."""
    if not exact:
        try:
            return _parse(path, exact=False)
        except InvalidFileError:
            pass  # the exact pass finds out whether the file or the short cut was wrong
    return _parse(path, exact=True)


def _parse(path: Path, *, exact: bool) -> Header:
    with Window(path) as window:
        version, tensor_count, key_count = _read_preamble(window)
        metadata = _read_metadata(window, key_count, exact)
        tensors = tuple(_read_tensor(window) for _ in range(tensor_count))
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if type(alignment) is not int or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            raise InvalidFileError(f"malformed GGUF: general.alignment must be a power of two up to {MAX_ALIGNMENT}")
        data_offset = -(-window.position // alignment) * alignment
        return Header(path, window.stamp, version, metadata, tensors, alignment, data_offset, window.size)


def _read_preamble(window: Window) -> tuple[int, int, int]:
    """Return version, number of tensors and number of metadata entries."""
    magic = window.read(min(4, window.size))
    if magic in _OLD_MAGICS:
        raise InvalidFileError("a GGML file older than GGUF; convert the original model with a current llama.cpp")
    if magic != MAGIC:
        raise InvalidFileError("supplied file was not in GGUF format: it does not begin with the letters GGUF")
    if window.size < 24:
        raise InvalidFileError("truncated GGUF: the file ends within its first 24 bytes; get it again")
    version = window.u32()
    if version == 1:
        raise InvalidFileError("GGUF version 1 is no longer supported; convert the original model again")
    if version & 0xFFFF == 0:
        raise InvalidFileError("a big-endian GGUF file; convert it with gguf-py's gguf_convert_endian.py")
    if version not in (2, 3):
        raise InvalidFileError(f"GGUF version {version} is unknown; versions 2 and 3 can be read: update ollamapy")
    tensor_count, key_count = window.u64(), window.u64()
    if tensor_count > MAX_TENSORS or tensor_count * _MIN_TENSOR_BYTES > window.remaining:
        raise InvalidFileError(f"malformed GGUF: it claims {tensor_count} tensors, more than fit")
    if key_count > MAX_KEYS or key_count * _MIN_KEY_BYTES > window.remaining:
        raise InvalidFileError(f"malformed GGUF: it claims {key_count} metadata entries, more than fit")
    return version, tensor_count, key_count


def _read_metadata(window: Window, key_count: int, exact: bool) -> dict[str, Value | ArrayRef]:
    metadata: dict[str, Value | ArrayRef] = {}
    for index in range(key_count):
        key = _text(window.string_bytes(MAX_KEY_BYTES), "a metadata key")
        if not key or key in metadata:
            raise InvalidFileError(f"malformed GGUF: the metadata key {key[:80]!r} is empty or there twice")
        value_type = window.u32()
        if value_type == ARRAY:
            metadata[key] = _skip_array(window, key, None if exact else index == key_count - 1)
        else:
            metadata[key] = _read_value(window, key, value_type)
    return metadata


def _read_value(window: Window, key: str, value_type: int) -> Value:
    if value_type == STRING:
        return _text(window.string_bytes(), repr(key[:80]))
    if value_type not in SCALARS:
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} has the unknown value type {value_type}")
    code, size, name = SCALARS[value_type]
    data = window.read(size)
    if code == "?" and data not in (b"\0", b"\1"):
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} is a {name} that is neither true nor false")
    value: Value = struct.unpack("<" + code, data)[0]
    return value


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidFileError(f"malformed GGUF: {what} is not UTF-8 text") from exc


def _skip_array(window: Window, key: str, is_last: bool | None) -> ArrayRef:
    """Pass over an array; `is_last` tells whether tensors come next, None forbids the short cut."""
    element_type, count = window.u32(), window.u64()
    if element_type != STRING and element_type not in SCALARS:
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} is an array of the unsupported type {element_type}")
    limit = MAX_STRING_ARRAY_ELEMENTS if element_type == STRING else MAX_ARRAY_ELEMENTS
    size = 8 if element_type == STRING else SCALARS[element_type][1]
    if count > limit or count * size > window.remaining:
        raise InvalidFileError(f"malformed GGUF: {key[:80]!r} is an array of {count} elements, more than fit")
    reference = ArrayRef(element_type, count, window.position)
    if element_type != STRING:
        window.skip(count * size)
    elif count < _LONG_ARRAY or is_last is None or not _jump_behind_strings(window, count, is_last):
        window.skip_strings(count)
    return reference


def _jump_behind_strings(window: Window, count: int, is_last: bool) -> bool:
    """Move to what looks like the entry behind an array of strings; stay and return False where nothing does."""
    start = window.position
    end = min(start + count * _USUAL_STRING_BYTES, MAX_HEADER_BYTES)
    needles = (b".weight",) if is_last else _KEY_NEEDLES
    window.skip(count * 8)
    while (hit := window.find(needles, end)) is not None:
        entry = _tensor_around(window, hit + len(needles[0])) if is_last else _key_around(window, hit)
        if entry is not None:
            window.seek(entry)
            return True
        window.seek(hit + 1)
    window.seek(start)
    return False


def _key_around(window: Window, needle_offset: int) -> int | None:
    """Return where the entry begins whose length holds the zeros at that offset, or None."""
    window.seek(needle_offset - 1)
    length = window.u64()
    if length > min(MAX_KEY_BYTES, window.remaining - 4) or not _KNOWN_KEY.fullmatch(window.read(length)):
        return None
    value_type = window.u32()
    return needle_offset - 1 if value_type in SCALARS or value_type in (STRING, ARRAY) else None


def _tensor_around(window: Window, name_end: int) -> int | None:
    """Return where the tensor row begins whose name ends at that offset, or None."""
    window.seek(name_end - MAX_TENSOR_NAME_BYTES - 8)
    before = window.read(MAX_TENSOR_NAME_BYTES + 8)
    for length in range(1, MAX_TENSOR_NAME_BYTES + 1):
        end = len(before) - length
        if before[end - 8 : end] == length.to_bytes(8, "little"):
            window.seek(name_end - length - 8)
            return name_end - length - 8 if _is_tensor(window) else None
    return None


def _is_tensor(window: Window) -> bool:
    start = window.position
    try:
        _read_tensor(window)
    except InvalidFileError:
        return False
    finally:
        window.seek(start)
    return True


def _read_tensor(window: Window) -> TensorInfo:
    name = _text(window.string_bytes(MAX_TENSOR_NAME_BYTES), "a tensor's name")
    dimensions = window.u32()
    if not name or not 1 <= dimensions <= 4:
        raise InvalidFileError(f"malformed GGUF: the tensor {name!r} has {dimensions} dimensions; 1 to 4 are possible")
    shape = struct.unpack(f"<{dimensions}Q", window.read(8 * dimensions))
    type_number, offset = window.u32(), window.u64()
    kind = TENSOR_TYPES.get(type_number)
    if kind is None:
        raise InvalidFileError(
            f"the tensor {name!r} has the type {type_number}, which is unknown here; convert the model again, "
            "or update ollamapy"
        )
    elements = 1
    for length in shape:
        elements *= length
        if not 0 < length <= MAX_DIMENSION or elements > MAX_ELEMENTS:
            raise InvalidFileError(f"malformed GGUF: the tensor {name!r} has an impossible shape")
    if shape[0] % kind.block_elements:
        raise InvalidFileError(
            f"malformed GGUF: the tensor {name!r} has rows of {shape[0]} elements, but {kind.name} needs a multiple "
            f"of {kind.block_elements}"
        )
    return TensorInfo(name, shape, kind.name, offset, elements // kind.block_elements * kind.block_bytes)
