"""`quantize` of `/api/create`, by llama.cpp in a process of its own."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from ollamapy import wire
from ollamapy.actions.quantize import ALIASES, TYPES, WITH_MATRIX, parse_type
from ollamapy.errors import RunnerError, UnsupportedError
from ollamapy.gguf import check_file
from ollamapy.gguf.types import FILE_TYPES
from ollamapy.names import ModelName
from ollamapy.runner.launch import WorkerPool
from ollamapy.store import load_model
from tests.server.conftest import Daemon, running
from tests.server.test_split_models import ASK, create, upload
from tests.store.conftest import tree

WIDE = "stories260K-wide256-f16.gguf"


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared_models):
    """A daemon with a model that every quantization can be made of, and real workers."""
    with running(tmp_path_factory.mktemp("quantize")) as daemon:
        files = upload(daemon, {"wide.gguf": (shared_models / "gguf" / WIDE).read_bytes()})
        assert create(daemon, "wide", files)[0] == 200
        yield daemon


def unfinished(daemon: Daemon) -> set[str]:
    """What lies beside the finished blobs."""
    return tree(daemon.store.root / "uploads")


@pytest.mark.model
def test_a_model_is_quantized_as_llama_cpp_does_it(real, shared_models):
    steps = real.lines("/api/create", {"model": "small", "from": "wide", "quantize": "q4_K_M"})
    quantizing = [step for step in steps if step["status"] == "quantizing F16 model to Q4_K_M"]
    sizes = [step.get("completed", 0) for step in quantizing]
    assert sizes == sorted(sizes)
    assert {step["digest"] for step in quantizing} == {"0" * 19}
    assert {step["total"] for step in quantizing} == {sizes[-1]}
    model = load_model(real.store, ModelName.parse("small"))
    assert f"creating new layer {model.weights_digest}" in [step["status"] for step in steps]
    expected = check_file(shared_models / "gguf" / "stories260K-wide256-q4_k_m.gguf")
    made = check_file(model.weights)
    assert [(t.name, t.type_name) for t in made.tensors] == [(t.name, t.type_name) for t in expected.tensors]
    shown = real.client.post("/api/show", json={"model": "small"}).json()
    assert shown["details"]["quantization_level"] == "Q4_K_M"
    answer = real.client.post("/api/generate", json={**ASK, "model": "small"}).json()
    assert "little girl" in answer["response"]
    assert unfinished(real) == set()


@pytest.mark.model
def test_a_split_model_becomes_one_file(real, shared_models):
    parts = {path.name: path.read_bytes() for path in (shared_models / "gguf" / "split").glob("*.gguf")}
    steps = real.lines("/api/create", {"model": "one", "files": upload(real, parts), "quantize": "F16"})
    assert steps[0] == {"status": "parsing GGUF"}
    assert steps[-1] == {"status": "success"}
    model = load_model(real.store, ModelName.parse("one"))
    assert (len(model.shards), check_file(model.weights).split_count, model.config.file_type) == (1, 1, "F16")
    assert "little girl" in real.client.post("/api/generate", json={**ASK, "model": "one"}).json()["response"]


@pytest.mark.model
@pytest.mark.parametrize("file_type", sorted(TYPES))
def test_every_type_that_is_offered_can_be_made(tmp_path, shared_models, file_type):
    target = tmp_path / "out.gguf"
    task = wire.Quantize(str(shared_models / "gguf" / WIDE), str(target), TYPES[file_type])

    async def run() -> list[wire.FileProgress]:
        return [step async for step in WorkerPool(keep_spare=False).run_file_task(task)]

    steps = asyncio.run(run())
    assert (steps[-1].done, steps[-1].total) == (47, 47)
    assert check_file(target).file_type == file_type


@pytest.mark.model
def test_what_is_of_that_type_stays_as_it_is(real):
    before = load_model(real.store, ModelName.parse("wide")).weights_digest
    assert create(real, "same", None, **{"from": "wide", "quantize": "f16"})[0] == 200
    assert load_model(real.store, ModelName.parse("same")).weights_digest == before


@pytest.mark.model
def test_only_whole_numbers_are_quantized_from(real):
    status, answer = create(real, "again", None, **{"from": "wren", "quantize": "q4_0"})
    told = "quantization is only supported for F16, BF16 and F32 models; this one is Q8_0"
    assert (status, answer["error"]) == (400, told)


def test_names_of_types_have_no_case_and_short_forms():
    assert [parse_type(text) for text in ("q4_k_m", "Q4_K", "bf16", "fp16")] == ["Q4_K_M", "Q4_K_M", "BF16", "F16"]
    assert set(TYPES) | WITH_MATRIX == set(FILE_TYPES.values())
    assert set(ALIASES.values()) <= set(TYPES)


def test_a_type_that_is_none_is_refused_with_those_that_there_are():
    with pytest.raises(UnsupportedError, match="unsupported quantization type Q9 - supported types are F32, F16, Q4_0"):
        parse_type("q9")
    with pytest.raises(UnsupportedError, match="IQ2_XS needs an importance matrix"):
        parse_type("iq2_xs")


def test_a_bad_type_is_refused_before_anything_is_looked_at(daemon):
    status, answer = create(daemon, "bad", None, **{"from": "nothing-of-this-name", "quantize": "Q9_9"})
    assert (status, answer["error"].split(" - ")[0]) == (400, "unsupported quantization type Q9_9")


def test_a_worker_that_dies_harms_its_model_alone(tmp_path, shared_models):
    """Its command ends as an abort of native code does."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
    with running(tmp_path, (sys.executable, "-c", code)) as daemon:
        files = upload(daemon, {"wide.gguf": (shared_models / "gguf" / WIDE).read_bytes()})
        steps = daemon.lines("/api/create", {"model": "dead", "files": files, "quantize": "q8_0"})
        assert (
            f"could not quantize the model: its process was killed by signal {signal.SIGABRT:d}" in steps[-1]["error"]
        )
        assert daemon.client.get("/api/version").status_code == 200
        assert daemon.client.post("/api/show", json={"model": "dead"}).status_code == 404
        assert unfinished(daemon) == set()


def test_a_client_that_leaves_ends_the_work_and_nothing_stays(tmp_path, shared_models):
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    code = f"import os, sys; open({str(fifo)!r}, 'w').write(str(os.getpid())); sys.stdin.read()"
    with running(tmp_path, (sys.executable, "-c", code)) as daemon:
        files = upload(daemon, {"wide.gguf": (shared_models / "gguf" / WIDE).read_bytes()})
        body = {"model": "left", "files": files, "quantize": "q8_0"}
        with (
            httpx.Client(base_url=daemon.url, trust_env=False, timeout=60) as client,
            client.stream("POST", "/api/create", json=body) as response,
        ):
            lines = response.iter_lines()
            while "quantizing" not in next(lines):
                continue
            pid = int(fifo.read_text())
        gone = wait_for_end(pid)
    assert gone
    assert tree(tmp_path / "models" / "uploads") == set()
    assert not list((tmp_path / "models").glob("manifests/*/*/left/*"))


def wait_for_end(pid: int) -> bool:
    """Wait until a process of ours is gone, a minute at most."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 60)[0])
    finally:
        os.close(descriptor)


def test_a_file_that_llama_cpp_refuses_is_told_without_its_folder(tmp_path):
    source = tmp_path / "bad.gguf"
    source.write_bytes(b"GGUF")

    async def run() -> None:
        task = wire.Quantize(str(source), str(tmp_path / "out"), TYPES["Q8_0"])
        async with aclosing(WorkerPool(keep_spare=False).run_file_task(task)) as steps:
            async for _ in steps:
                continue

    with pytest.raises(RunnerError, match="could not quantize the model: ") as failed:
        asyncio.run(run())
    assert str(Path(tmp_path)) not in failed.value.message
