"""Creates a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from ollamapy.actions.build import check_request, collect_parts, write_model
from ollamapy.actions.bundled import find_manifest
from ollamapy.actions.convert import Sources, convert
from ollamapy.actions.prune import remove_unneeded
from ollamapy.actions.pull import pull
from ollamapy.actions.quantize import check_source, parse_type, quantize
from ollamapy.actions.services import Services
from ollamapy.actions.translate import translate_new
from ollamapy.errors import ManifestError, ModelNotFoundError
from ollamapy.names import Digest, ModelName
from ollamapy.store import Model, Store, load_model
from ollamapy.types import CreateRequest, Progress, TransferRequest


async def create(services: Services, request: CreateRequest) -> AsyncGenerator[Progress, None]:
    """Yield the steps of making a model; the manifest is written last. The disk is used in threads.

    A base that is missing is pulled first. Raises InvalidInputError, ModelNotFoundError, RegistryError, StoreError.
    """
    store = services.store
    name = ModelName.parse(request.model)
    await asyncio.to_thread(check_request, request)
    wanted = parse_type(request.quantize) if request.quantize else ""
    sources = Sources(request)
    async with aclosing(_gather(services, sources)) as gathering:
        async for gathered in gathering:
            yield gathered
    request, base = sources.request, sources.base
    replaced = await asyncio.to_thread(_digests, store, name)
    parts = await asyncio.to_thread(collect_parts, store, request, base)
    header = await asyncio.to_thread(check_source, store, parts, wanted) if wanted else None
    if base is None:
        yield Progress("parsing GGUF")
    if header is not None:
        async with aclosing(quantize(services, parts, header, wanted)) as quantizing:
            async for quantized in quantizing:
                yield quantized
    steps = write_model(store, name, request, base, parts, services.settings.go_template)
    while (step := await asyncio.to_thread(_next, steps)) is not None:
        if step.status == "success":
            if not services.settings.no_prune:
                await asyncio.to_thread(remove_unneeded, services, replaced)
            async with aclosing(translate_new(services, name)) as translating:
                async for translated in translating:
                    yield translated
        yield step


async def _gather(services: Services, sources: Sources) -> AsyncGenerator[Progress, None]:
    """Yield the steps of fetching the base, and of converting what is no GGUF file."""
    asked = sources.request.base
    async with aclosing(_pull_base(services, asked)) as transfer:
        async for pulled in transfer:
            yield pulled
    sources.base = await asyncio.to_thread(_read_base, services.store, asked) if asked else None
    async with aclosing(convert(services, sources)) as converting:
        async for converted in converting:
            yield converted


async def _pull_base(services: Services, base: str) -> AsyncGenerator[Progress, None]:
    if base and not services.remotes.is_offline and await asyncio.to_thread(_is_missing, services.store, base):
        async with aclosing(pull(services, TransferRequest(base))) as steps:
            async for step in steps:
                if step.status != "success":
                    yield step


def _next(steps: Iterator[Progress]) -> Progress | None:
    return next(steps, None)


def _is_missing(store: Store, text: str) -> bool:
    try:
        find_manifest(store, ModelName.parse(text))
    except ModelNotFoundError:
        return True
    return False


def _read_base(store: Store, text: str) -> Model:
    name = ModelName.parse(text)
    try:
        return load_model(store, find_manifest(store, name).name)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(
            str(name), f"model '{name}' not found; create it first, or name one that is here"
        ) from exc


def _digests(store: Store, name: ModelName) -> tuple[Digest, ...]:
    try:
        return store.read_manifest(name).manifest.digests
    except (ModelNotFoundError, ManifestError):  # a damaged one is replaced
        return ()
