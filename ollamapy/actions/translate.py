"""Makes files that only Ollama's own engines could load into ones that llama.cpp loads, once.

The manifest stays as it came. What stands for its file is noted in the store, and goes when the file goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from pathlib import Path

from ollamapy import wire
from ollamapy.actions.models import ResolvedModel, model_shape
from ollamapy.actions.services import Services
from ollamapy.convert import Layout, check_layout, find_layout
from ollamapy.errors import InvalidFileError, LoadError, ManifestError, RunnerError, UnsupportedError
from ollamapy.gguf import Header, check_file, read_header
from ollamapy.names import Digest, ModelName
from ollamapy.store import PROJECTOR_TYPE, WEIGHTS_TYPE, BlobWriter, Layer, Store
from ollamapy.types import Progress

logger = logging.getLogger("ollamapy.actions")


async def loadable(services: Services, found: ResolvedModel) -> ResolvedModel:
    """Return the model with the files that llama.cpp loads for it; they are made where they are not there yet.

    Raises UnsupportedError for a model that nothing can be made of, DiskFullError, LoadError, RunnerError.
    """
    if all(digest in services.plain_files for digest, _ in _files(found)):
        return found
    key = (found.model.name, found.model.digest)
    known = services.translated.get(key)
    if known is not None and await asyncio.to_thread(_is_there, known):
        return known
    async with aclosing(translate(services, found)) as steps:
        async for _ in steps:
            continue
    services.translated[key] = await asyncio.to_thread(_with_translations, services.store, found)
    return services.translated[key]


async def translate_new(services: Services, name: ModelName) -> AsyncGenerator[Progress, None]:
    """Yield the progress of `translate` for a model that has just come; one that can't be read needs none."""
    try:
        found = await services.models.resolve(services.store, str(name))
    except (ManifestError, UnsupportedError) as exc:
        logger.warning("%s can't be loaded: %s", name, exc.message)
        return
    async with aclosing(translate(services, found)) as steps:
        async for step in steps:
            yield step


async def translate(services: Services, found: ResolvedModel) -> AsyncGenerator[Progress, None]:
    """Yield the progress of making what llama.cpp loads for a model; nothing where all is there.

    Requests that come together wait for the same work. Raises as `loadable` does.
    """
    for digest, path in _files(found):
        async with services.translating.setdefault(digest, asyncio.Lock()):
            header, layout = await asyncio.to_thread(_read_layout, path)
            if layout is None:
                services.plain_files.add(digest)
                continue
            if await asyncio.to_thread(services.store.read_translation, digest):
                continue
            check_layout(layout)
            async with aclosing(_make(services, digest, header, layout)) as steps:
                async for step in steps:
                    yield step


async def _make(services: Services, digest: Digest, header: Header, layout: Layout) -> AsyncGenerator[Progress, None]:
    store, status = services.store, f"translating {layout.name} for llama.cpp"
    await asyncio.to_thread(store.check_free, 2 * header.file_size if layout.projector else header.file_size)
    yield Progress(status, str(digest), header.file_size, 0)
    with ExitStack() as stack:
        weights, projector = (stack.enter_context(store.blob_writer()) for _ in range(2))
        task = wire.Translate(str(header.path), str(weights.path), str(projector.path))
        async with aclosing(services.run_file_task(task)) as steps:
            async for step in steps:
                yield Progress(status, str(digest), step.total, step.done)
        await asyncio.to_thread(_publish, store, digest, {WEIGHTS_TYPE: weights, PROJECTOR_TYPE: projector})
    yield Progress(status, str(digest), header.file_size, header.file_size)


def _read_layout(path: Path) -> tuple[Header, Layout | None]:
    header = read_header(path)
    return header, find_layout(header)


def _is_there(found: ResolvedModel) -> bool:
    """Tell whether the files of a model lie where they lay; another program may have deleted them."""
    return all(path.is_file() for path in (*found.model.shards, *found.model.projectors))


def _publish(store: Store, digest: Digest, writers: dict[str, BlobWriter]) -> None:
    layers = []
    for media_type, writer in writers.items():
        writer.hash_file()
        if writer.size:
            try:
                check_file(writer.path)
            except InvalidFileError as exc:
                raise RunnerError(f"could not translate the model: its file would be {exc.message}") from exc
            layers.append(Layer(media_type, writer.commit(), writer.size))
    store.write_translation(digest, layers)


def _files(found: ResolvedModel) -> list[tuple[Digest, Path]]:
    """Return the files that may be in a layout of Ollama's own: the weights, and the projector."""
    model = found.model
    projectors = [layer.digest for layer in model.layers if layer.media_type == PROJECTOR_TYPE]
    return [(model.weights_digest, model.weights), *zip(projectors, model.projectors, strict=True)]


def _with_translations(store: Store, found: ResolvedModel) -> ResolvedModel:
    model = found.model
    weights, projectors = model.weights, []
    for digest, path in _files(found):
        layers = store.read_translation(digest)
        made = {layer.media_type: store.open_blob(layer.digest) for layer in layers}
        if digest == model.weights_digest:
            weights = made.get(WEIGHTS_TYPE, path)
            projectors += [made[PROJECTOR_TYPE]] if PROJECTOR_TYPE in made else []
        else:
            projectors.append(made.get(PROJECTOR_TYPE, path))
    if (weights, tuple(projectors)) == (model.weights, model.projectors):
        return found
    shards = (weights, *model.shards[1:])
    try:
        header = found.header if weights == model.weights else read_header(weights)
    except InvalidFileError as exc:
        raise LoadError(f"could not load {model.name}: {exc.message}") from exc
    replaced = replace(model, weights=weights, shards=shards, projectors=tuple(projectors))
    return replace(found, model=replaced, header=header, shape=model_shape(replaced, header, found.draft))
