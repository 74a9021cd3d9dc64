"""Says how a model has to be loaded for a request, and loads or unloads it where nothing else was asked for."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from typing import cast

import msgspec

from ollamapy import wire
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.sampling import DEFAULT_NUM_BATCH, context_tokens
from ollamapy.actions.services import Services
from ollamapy.actions.translate import loadable
from ollamapy.config import Settings
from ollamapy.gguf import Header
from ollamapy.scheduler.memory import total_memory_bytes
from ollamapy.scheduler.placement import SplitMode, Wish
from ollamapy.scheduler.spec import LoadSpec, model_key
from ollamapy.types import Chunk, Final, Options

EMBED_BATCH = 2048  # an input is computed as a whole, so no input can be longer than the batch
MOST_EMBED_BATCH = 8192  # what num_batch may raise it to: compute buffers grow with its square
EMBED_SEQUENCES = 64
PARKING_SHARE = 16  # one part in so many of the host's memory keeps prefixes that make room in a model's KV cache
MOST_SEQUENCES = 256  # running requests and remembered prefixes; the worker knows whether its model can have as many


async def prepare_load(services: Services, found: ResolvedModel, options: Options) -> LoadSpec:
    """Check a model's files and return how to load it for a request with these options; raises LoadError."""
    await services.models.check_files(found)
    loaded = await loadable(services, found)
    return replace(load_spec(loaded, options, services.settings), key=spec_key(found))


def load_spec(found: ResolvedModel, options: Options, settings: Settings) -> LoadSpec:
    """Return how to load a model for a request with these options; the scheduler decides where, and how many cells."""
    model = found.model
    load = msgspec.structs.replace(
        load_message(found.header, options, settings),
        path=str(model.weights),
        adapters=[str(path) for path in model.adapters],
        shards=[str(path) for path in model.shards] if len(model.shards) > 1 else [],
        projector=str(model.projectors[0]) if model.projectors else "",
        draft=str(found.draft.path) if found.draft is not None else "",
    )
    wish = wish_for(found.header, options, settings)
    return LoadSpec(str(model.name), spec_key(found), load, wish.num_ctx, found.shape, wish)


def load_message(header: Header, options: Options, settings: Settings) -> wire.LoadModel:
    """Return the message that loads a model of this header, without the names of its files."""
    wish = wish_for(header, options, settings)
    n_batch = embed_batch(header, options) if header.has_pooling else options.num_batch or DEFAULT_NUM_BATCH
    return wire.LoadModel(
        path="",
        adapters=[],
        n_ctx=n_batch if header.has_pooling else wish.num_ctx,
        n_batch=n_batch,
        n_seq_max=EMBED_SEQUENCES if header.has_pooling else MOST_SEQUENCES,
        n_parallel=settings.num_parallel,
        embeds=header.has_pooling,
        n_gpu_layers=wish.gpu_layers,
        main_gpu=wish.main_gpu,
        use_mmap=options.use_mmap is not False,
        n_threads=min(options.num_thread or 0, os.cpu_count() or 1),
        flash_attention=settings.flash_attention,
        kv_cache_type=settings.kv_cache_type,
        state_folder="" if settings.state_dir is None else str(settings.state_dir),
        state_bytes=0 if settings.state_dir is None else settings.state_bytes,
        parking_bytes=parking_bytes(),
        speculates=settings.speculative,
        tensor_split=list(wish.tensor_split),
        split_mode=wish.split_mode,
    )


@cache
def parking_bytes() -> int:
    """Return how much of the host's memory keeps prefixes without cells; read once, since each request asks for it."""
    return total_memory_bytes() // PARKING_SHARE


def wish_for(header: Header, options: Options, settings: Settings) -> Wish:
    """Return what options and settings ask of the devices; a context that nobody asked for is 0."""
    is_asked = bool(options.num_ctx or settings.context_length or header.has_pooling)
    num_ctx = context_tokens(options, settings.context_length, header.context_length or 0) if is_asked else 0
    return Wish(
        num_ctx=num_ctx,
        parallel=settings.num_parallel,
        gpu_layers=-1 if options.num_gpu is None else options.num_gpu,
        main_gpu=options.main_gpu,
        tensor_split=tuple(map(float, options.tensor_split.split(","))) if options.tensor_split else (),
        split_mode=cast("SplitMode", options.split_mode or "layer"),
        overhead_bytes=settings.gpu_overhead_bytes,
        is_spread=settings.sched_spread,
    )


def embed_batch(header: Header, options: Options) -> int:
    """Return the tokens that an embedding model computes at once: whatever num_ctx is, so that it reloads nothing."""
    return min(options.num_batch or EMBED_BATCH, header.context_length or EMBED_BATCH, MOST_EMBED_BATCH)


def spec_key(found: ResolvedModel) -> str:
    """Return the key under which the scheduler knows a model."""
    model = found.model
    others = (*model.shards[1:], *model.adapters, *model.projectors[:1], *model.drafts[:1])
    return model_key(str(model.weights), [str(path) for path in others])


async def load_only(
    services: Services, found: ResolvedModel, keep_alive_seconds: float | None, options: Options
) -> Chunk:
    """Load a model, and say so."""
    spec = await prepare_load(services, found, options)
    async with services.scheduler.acquire(spec, keep_alive_seconds):
        return Chunk(final=Final("load"))


async def unload(services: Services, found: ResolvedModel) -> Chunk:
    """Unload a model as soon as it is idle, and say so; one that is not loaded is no error."""
    await services.scheduler.unload(spec_key(found))
    return Chunk(final=Final("unload"))
