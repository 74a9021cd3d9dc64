"""The estimate held against what llama.cpp really allocates."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import msgspec
import pytest
from bench_lib.model_file import write_model
from bench_lib.shapes import SHAPES
from bench_lib.vocabulary import read_vocabulary
from llama_cpp import llama_cpp as api

from ollamapy import wire
from ollamapy.gguf import read_header
from ollamapy.runner.launch import WorkerPool
from ollamapy.scheduler.estimate import estimate
from ollamapy.scheduler.shape import shape_of
from tests.conftest import CHECKOUT
from tests.scheduler.families import write_family

TOLERANCE = 0.1
SMALL = (
    "babyllama361-f16", "glove25-bert-f16", "rwkv7-834k-f32", "stories260K-f32", "stories260K-q4_0", "stories260K-q8_0",
    "stories260K-wide256-f16", "stories260K-wide256-q4_k_m", "stories260K-wide256-q6_k",
)  # fmt: skip
WAYS = (
    pytest.param({"n_ctx": 4096}, id="a-long-context"),
    pytest.param({"n_ctx": 512}, id="a-short-context"),
    pytest.param({"n_ctx": 2048, "flash_attention": "off"}, id="no-flash-attention"),
)
MORE_WAYS = (
    *WAYS,
    pytest.param({"n_ctx": 8192, "kv_cache_type": "q8_0"}, id="a-small-cache"),
    pytest.param({"n_ctx": 4096, "n_batch": 64}, id="a-small-batch"),
)


async def check(path: Path, **ways: object) -> None:
    """Load a model in a worker and compare."""
    shape = shape_of(read_header(path))
    load = wire.LoadModel(path=str(path), adapters=[], n_ctx=4096)
    if read_header(path).has_pooling:
        ways |= {"embeds": True, "n_ctx": 512, "n_batch": 512, "n_seq_max": 64}
    load = msgspec.structs.replace(load, **ways)
    pool = WorkerPool(keep_spare=False)
    runner = pool.runner(path.name, load)
    try:
        real = (await runner.start()).size
    finally:
        await runner.stop()
        await pool.close()
    assert estimate(shape, load).total == pytest.approx(real, rel=TOLERANCE)


@pytest.mark.anyio
@pytest.mark.model
@pytest.mark.parametrize("ways", WAYS)
@pytest.mark.parametrize("name", SMALL)
async def test_small_models_take_what_is_estimated(name: str, ways: dict[str, object], shared_models: Path) -> None:
    await check(shared_models / "gguf" / f"{name}.gguf", **ways)


@pytest.mark.anyio
@pytest.mark.model
@pytest.mark.parametrize("ways", MORE_WAYS)
async def test_the_bundled_model_takes_what_is_estimated(ways: dict[str, object]) -> None:
    await check(CHECKOUT / "modelfiles" / "wren" / "wren-q8_0.gguf", **ways)


@pytest.mark.anyio
@pytest.mark.model
async def test_a_model_of_the_benchmarks_takes_what_is_estimated(shared_models: Path, tmp_path: Path) -> None:
    vocabulary = read_vocabulary(shared_models / "vocab" / "ggml-vocab-gpt-2.gguf")
    write_model(tmp_path / "tiny.gguf", SHAPES["tiny"], vocabulary, "Q8_0", seed=1)
    await check(tmp_path / "tiny.gguf")


BUFFER = re.compile(r"(compute|output) buffer size\s*=\s*([0-9.]+) MiB")
CACHE = re.compile(r"llama_kv_cache: size =\s*([0-9.]+) MiB")


def laid_out(path: Path, load: wire.LoadModel) -> tuple[float, float]:
    """Let llama.cpp lay a model out without allocating; return its buffers and its KV cache in bytes."""
    lines: list[str] = []
    callback = api.llama_log_callback(lambda _level, text, _data: lines.append(text.decode(errors="replace")))
    api.llama_log_set(callback, ctypes.c_void_p(0))
    try:
        params = api.llama_model_default_params()
        params.no_alloc, params.load_mode = True, api.LLAMA_LOAD_MODE_NONE
        model = api.llama_model_load_from_file(str(path).encode(), params)
        settings = api.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = load.n_ctx, load.n_batch, load.n_batch
        settings.n_seq_max, settings.kv_unified = load.n_seq_max, True
        context = api.llama_init_from_model(model, settings)
        api.llama_free(context)
        api.llama_model_free(model)
    finally:
        QUIET.append(callback)  # llama.cpp keeps it
    text = "".join(lines)
    buffers = sum(float(found[2]) for found in BUFFER.finditer(text))
    return buffers * (1 << 20), sum(float(found[1]) for found in CACHE.finditer(text)) * (1 << 20)


QUIET: list[object] = []


@pytest.mark.model
@pytest.mark.parametrize("n_ctx", [4096, 32_768])
@pytest.mark.parametrize("name", ["1b", "8b", "14b", "32b", "70b", "30b-moe", "4b-windowed"])
def test_large_models_are_laid_out_as_estimated(name: str, n_ctx: int, family_folder: Path) -> None:
    path = write_family(family_folder, name, "Q4_K")
    load = wire.LoadModel(path=str(path), adapters=[], n_ctx=n_ctx)
    guessed = estimate(shape_of(read_header(path)), load)
    buffers, cache = laid_out(path, load)
    assert guessed.compute + guessed.output == pytest.approx(buffers, rel=TOLERANCE)
    assert guessed.cache == pytest.approx(cache, rel=0.01)
    assert guessed.weights == pytest.approx(path.stat().st_size, rel=0.02)
