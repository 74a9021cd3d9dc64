"""Says how a model has to be loaded for a request, and loads or unloads it where nothing else was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ollamapy import wire
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.sampling import DEFAULT_NUM_BATCH, context_tokens
from ollamapy.actions.services import Services
from ollamapy.actions.translate import loadable
from ollamapy.config import Settings
from ollamapy.gguf import ArrayRef, Header
from ollamapy.scheduler.memory import free_memory_bytes, kv_bytes_per_token, pool_cells
from ollamapy.scheduler.spec import LoadSpec, model_key
from ollamapy.types import Chunk, Final, Options

EMBED_BATCH = 2048  # an input is computed as a whole, so no input can be longer than the batch
MOST_EMBED_BATCH = 8192  # what num_batch may raise it to: compute buffers grow with its square
EMBED_SEQUENCES = 64
MOST_SEQUENCES = 256  # running requests and remembered prefixes; the worker knows whether its model can have as many


async def prepare_load(services: Services, found: ResolvedModel, options: Options) -> LoadSpec:
    """Check a model's files and return how to load it for a request with these options; raises LoadError."""
    await services.models.check_files(found)
    loaded = await loadable(services, found)
    spec = load_spec(loaded, options, services.settings, free_memory_bytes())
    return replace(spec, key=spec_key(found))


def load_spec(found: ResolvedModel, options: Options, settings: Settings, free_bytes: int) -> LoadSpec:
    """Return how to load a model for a request with these options."""
    model, header = found.model, found.header
    num_ctx = context_tokens(options, settings.context_length, header.context_length or 0)
    if header.has_pooling:
        n_ctx = n_batch = embed_batch(header, options)
    else:
        models = (header, found.draft) if found.draft is not None else (header,)
        token_bytes = sum(bytes_per_token(model, settings.kv_cache_type) for model in models)
        n_ctx = pool_cells(num_ctx, settings.num_parallel, free_bytes, token_bytes)
        n_batch = options.num_batch or DEFAULT_NUM_BATCH
    adapters = [str(path) for path in model.adapters]
    load = wire.LoadModel(
        path=str(model.weights),
        adapters=adapters,
        shards=[str(path) for path in model.shards] if len(model.shards) > 1 else [],
        projector=str(model.projectors[0]) if model.projectors else "",
        n_ctx=n_ctx,
        n_batch=n_batch,
        n_seq_max=EMBED_SEQUENCES if header.has_pooling else MOST_SEQUENCES,
        n_parallel=settings.num_parallel,
        embeds=header.has_pooling,
        n_gpu_layers=-1 if options.num_gpu is None else options.num_gpu,
        main_gpu=options.main_gpu,
        use_mmap=options.use_mmap is not False,
        n_threads=min(options.num_thread or 0, os.cpu_count() or 1),
        flash_attention=settings.flash_attention,
        kv_cache_type=settings.kv_cache_type,
        draft=str(found.draft.path) if found.draft is not None else "",
        speculates=settings.speculative,
        state_folder="" if settings.state_dir is None else str(settings.state_dir),
        state_bytes=0 if settings.state_dir is None else settings.state_bytes,
    )
    return LoadSpec(str(model.name), spec_key(found), load, num_ctx)


def embed_batch(header: Header, options: Options) -> int:
    """Return the tokens that an embedding model computes at once: whatever num_ctx is, so that it reloads nothing."""
    return min(options.num_batch or EMBED_BATCH, header.context_length or EMBED_BATCH, MOST_EMBED_BATCH)


def spec_key(found: ResolvedModel) -> str:
    """Return the key under which the scheduler knows a model."""
    model = found.model
    others = (*model.shards[1:], *model.adapters, *model.projectors[:1], *model.drafts[:1])
    return model_key(str(model.weights), [str(path) for path in others])


def bytes_per_token(header: Header, cache_type: str) -> int:
    """Return an estimate of a model's KV cache for one token, in bytes."""
    arch = header.architecture
    heads = _largest(header, f"{arch}.attention.head_count") or 1
    kv_heads = _largest(header, f"{arch}.attention.head_count_kv") or heads
    head_size = header.integer(f"{arch}.attention.key_length") or (header.embedding_length or 0) // heads
    return kv_bytes_per_token(header.block_count or 0, kv_heads, head_size, cache_type)


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


def _largest(header: Header, key: str) -> int:
    """Return a number, or the largest of one per layer."""
    if isinstance(header.metadata.get(key), ArrayRef):
        values: Sequence[object] = header.array(key)
        return max((value for value in values if isinstance(value, int)), default=0)
    return header.integer(key) or 0
