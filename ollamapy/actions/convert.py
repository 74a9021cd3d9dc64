"""Makes GGUF files of safetensors that were uploaded, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace

from ollamapy import wire
from ollamapy.actions.files import has_safetensors, parts_of_files
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidFileError, RunnerError
from ollamapy.gguf import check_file
from ollamapy.names import Digest
from ollamapy.store import WEIGHTS_TYPE, BlobWriter, Model, Store
from ollamapy.types import CreateRequest, Progress

GGUF = ".gguf"


@dataclass(slots=True)
class Sources:
    """A request whose safetensors become GGUF files of the store, and the model that it is based on."""

    request: CreateRequest
    base: Model | None = None


async def convert(services: Services, sources: Sources) -> AsyncGenerator[Progress, None]:
    """Yield the progress of converting what has to be, and put the results into the request.

    What is wrong with the files is raised before the first step. Raises InvalidFileError, BlobNotFoundError,
    InvalidDigestError, DiskFullError, RunnerError.
    """
    if has_safetensors(sources.request.files):
        async with aclosing(_convert(services, sources.request.files or {}, "")) as steps:
            async for step in steps:
                yield step
        sources.request = replace(sources.request, files={"model.gguf": step.digest})
    if has_safetensors(sources.request.adapters):
        path = await asyncio.to_thread(_find_base, services.store, sources)
        async with aclosing(_convert(services, sources.request.adapters or {}, path)) as steps:
            async for step in steps:
                yield step
        sources.request = replace(sources.request, adapters={"adapter.gguf": step.digest})


def _find_base(store: Store, sources: Sources) -> str:
    if sources.base is not None:
        return str(sources.base.weights)
    layers = parts_of_files(store, sources.request.files or {}).layers
    return str(next(store.open_blob(layer.digest) for layer in layers if layer.media_type == WEIGHTS_TYPE))


async def _convert(services: Services, files: Mapping[str, str], base: str) -> AsyncGenerator[Progress, None]:
    """Yield progress whose last has the digest of the new blob."""
    store, status = services.store, "converting adapter" if base else "converting model"
    if any(name.lower().endswith(GGUF) for name in files):
        raise InvalidFileError("the files are GGUF and safetensors; send those of one kind")
    digests = {name: Digest.parse(text) for name, text in files.items()}
    paths = await asyncio.to_thread(lambda: {name: str(store.open_blob(digest)) for name, digest in digests.items()})
    await asyncio.to_thread(store.check_free, sum(store.blob_size(digest) for digest in digests.values()))
    with ExitStack() as stack:
        writer = stack.enter_context(store.blob_writer())
        task = wire.Convert(paths, str(writer.path), base)
        async with aclosing(services.run_file_task(task)) as steps:
            async for step in steps:
                yield Progress(status, "", step.total, step.done)
        digest = await asyncio.to_thread(_publish, writer)
    yield Progress(status, str(digest))


def _publish(writer: BlobWriter) -> Digest:
    writer.hash_file()
    try:
        check_file(writer.path)
    except InvalidFileError as exc:
        raise RunnerError(f"could not convert the model: its file would be {exc.message}") from exc
    return writer.commit()
