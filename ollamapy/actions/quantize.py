"""Quantizes the weights of a model in the making.

Source: llama.cpp's `enum llama_ftype`, and the statuses of Ollama's `create`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from ollamapy import wire
from ollamapy.actions.files import Parts
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidFileError, RunnerError, UnsupportedError
from ollamapy.gguf import Header, check_file, join_headers, names_of_parts, read_header
from ollamapy.gguf.types import FILE_TYPES
from ollamapy.store import WEIGHTS_TYPE, Layer, Store
from ollamapy.types import Progress

SOURCES = ("F32", "F16", "BF16")
# llama.cpp computes these only with an importance matrix, which says how much each weight matters.
WITH_MATRIX = frozenset(
    ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S", "NVFP4")
)
TYPES = {name: number for number, name in FILE_TYPES.items() if name not in WITH_MATRIX}
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "FP16": "F16", "FP32": "F32", "MXFP4": "MXFP4_MOE"}
NO_DIGEST = "0" * 19
"""What Ollama sends as the digest of a file that is not there yet."""
_BYTES_PER_WEIGHT = {"F32": 4.0, "F16": 2.0, "BF16": 2.0}
_MOST_BYTES_PER_WEIGHT = 1.25  # of the others, with the rows that no block fits


def parse_type(text: str) -> str:
    """Return the name of a quantization, whatever its case; raises UnsupportedError with those that there are."""
    name = ALIASES.get(text.upper(), text.upper())
    if name in WITH_MATRIX:
        raise UnsupportedError(
            f"quantization to {name} needs an importance matrix; choose another type, such as Q3_K_M"
        )
    if name not in TYPES:
        shown = "".join(char for char in name[:40] if char.isprintable())
        raise UnsupportedError(f"unsupported quantization type {shown} - supported types are {', '.join(TYPES)}")
    return name


def check_source(store: Store, parts: Parts, file_type: str) -> Header:
    """Return the header of the weights to be quantized; raises UnsupportedError where they can't be. Blocks."""
    header = join_headers([read_header(path) for path in _paths(store, parts)])
    if header.file_type not in SOURCES and header.file_type != file_type:
        raise UnsupportedError(
            f"quantization is only supported for F16, BF16 and F32 models; this one is {header.file_type}"
        )
    return header


async def quantize(services: Services, parts: Parts, header: Header, file_type: str) -> AsyncGenerator[Progress, None]:
    """Yield the progress of quantizing the weights, and put the new ones into the parts; nothing for those that are so.

    Closing the generator ends the work and leaves nothing behind. Raises DiskFullError, RunnerError, StoreError.
    """
    if header.file_type == file_type:
        return
    store, status = services.store, f"quantizing {header.file_type} model to {file_type}"
    needed = int(header.parameter_count * _BYTES_PER_WEIGHT.get(file_type, _MOST_BYTES_PER_WEIGHT))
    await asyncio.to_thread(store.check_free, needed)
    total = sum(tensor.size_bytes for tensor in header.tensors)
    yield Progress(status, NO_DIGEST, total, 0)
    with ExitStack() as stack:
        writer = stack.enter_context(store.blob_writer())
        source = _linked(_paths(store, parts), stack)
        task = wire.Quantize(str(source), str(writer.path), TYPES[file_type])
        async with aclosing(services.run_file_task(task)) as steps:
            async for step in steps:
                yield Progress(status, NO_DIGEST, total, total * step.done // max(step.total, 1))
        await asyncio.to_thread(_check, writer.path)
        await asyncio.to_thread(writer.hash_file)
        digest = await asyncio.to_thread(writer.commit)
    yield Progress(status, NO_DIGEST, total, total)
    parts.layers = [layer for layer in parts.layers if layer.media_type != WEIGHTS_TYPE]
    parts.layers.insert(0, Layer(WEIGHTS_TYPE, digest, writer.size))
    parts.created.add(digest)
    parts.config = msgspec.structs.replace(parts.config, file_type=file_type)


def _paths(store: Store, parts: Parts) -> list[Path]:
    return [store.open_blob(layer.digest) for layer in parts.layers if layer.media_type == WEIGHTS_TYPE]


def _linked(paths: Sequence[Path], stack: ExitStack) -> Path:
    """Return the first of the files, under names from which llama.cpp's quantizer can tell the others."""
    if len(paths) == 1:
        return paths[0]
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="ollamapy-")))
    names = names_of_parts(f"model-00001-of-{len(paths):05d}.gguf")
    for path, name in zip(paths, names, strict=True):
        (folder / name).symlink_to(path.absolute())
    return folder / names[0]


def _check(path: Path) -> None:
    try:
        check_file(path)
    except InvalidFileError as exc:
        raise RunnerError(f"could not quantize the model: llama.cpp wrote a file that is {exc.message}") from exc
