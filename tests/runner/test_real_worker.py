from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from ollamapy import wire
from ollamapy.errors import LoadError, WorkerExitedError
from ollamapy.runner.launch import WorkerPool
from ollamapy.runner.runner import Runner
from tests.runner.conftest import is_running

pytestmark = [pytest.mark.anyio, pytest.mark.model]
GREEDY = wire.Sampling(temperature=0.0)
NAME = "stories260K-f32.gguf"
StartModel = Callable[[Path], Awaitable[Runner]]


def load_of(path: Path) -> wire.LoadModel:
    return wire.LoadModel(str(path), [], n_ctx=2048, n_threads=1, kv_cache_type="f32")


def greedy(runner: Runner, prompt: str, max_tokens: int = 60) -> wire.Generate:
    return wire.Generate(runner.next_id(), [wire.Segment(prompt)], [], True, GREEDY, 512, max_tokens)


@pytest.fixture
async def start_model() -> AsyncIterator[StartModel]:
    """Return a function that loads a model; all workers end with the test."""
    pool = WorkerPool(keep_spare=False, load_timeout_seconds=120)
    runners: list[Runner] = []

    async def start(path: Path) -> Runner:
        runners.append(pool.runner(path.stem, load_of(path)))
        await runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        await runner.stop()
        assert not is_running(runner.pid)


async def test_greedy_answers_are_those_of_the_reference_alone_and_together(
    start_model: StartModel, shared_models: Path
) -> None:
    cases = json.loads((shared_models / "expected.json").read_text())[NAME]
    runner = await start_model(shared_models / "gguf" / NAME)
    assert runner.ready is not None
    assert runner.ready.n_vocab == 512

    async def answer(prompt: str) -> str:
        return "".join([output.text async for output in runner.generate(greedy(runner, prompt))])

    assert await answer(cases[0]["prompt"]) == cases[0]["text"]
    answers = await asyncio.gather(*(answer(case["prompt"]) for case in cases))
    assert answers == [case["text"] for case in cases]


async def test_tokens_are_those_of_the_reference(start_model: StartModel, shared_models: Path) -> None:
    case = json.loads((shared_models / "expected.json").read_text())[NAME][0]
    runner = await start_model(shared_models / "gguf" / NAME)
    ids = await runner.tokenize([wire.Segment(case["prompt"])])
    assert ids == case["ids"]
    assert (await runner.detokenize(ids[1:])).strip() == case["prompt"]


async def test_a_kill_in_mid_stream_fails_the_request_and_leaves_no_process(
    start_model: StartModel, shared_models: Path
) -> None:
    runner = await start_model(shared_models / "gguf" / NAME)
    assert runner.pid is not None
    async with contextlib.aclosing(runner.generate(greedy(runner, "Once upon a time", -1))) as outputs:
        await anext(outputs)
        os.kill(runner.pid, signal.SIGKILL)
        with pytest.raises(WorkerExitedError, match="killed by signal 9"):
            async for _ in outputs:
                pass
    await runner.wait_exit()
    assert not is_running(runner.pid)


async def test_a_file_that_is_no_model_is_a_load_error_without_folders(start_model: StartModel, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(LoadError, match=r"could not load broken: .*") as caught:
        await start_model(broken)
    assert str(tmp_path) not in caught.value.message


async def test_a_prompt_is_still_known_after_a_reload(shared_models: Path, tmp_path: Path) -> None:
    pool = WorkerPool(keep_spare=False, load_timeout_seconds=120)
    load = load_of(shared_models / "gguf" / NAME)
    load = msgspec.structs.replace(load, state_folder=str(tmp_path / "state"), state_bytes=1 << 26)
    ends: list[wire.Finished | None] = []
    texts = []
    for _ in range(2):
        runner = pool.runner(NAME, load)
        await runner.start()
        outputs = [output async for output in runner.generate(greedy(runner, "Once upon a time there was a dog"))]
        texts.append("".join(output.text for output in outputs))
        ends.append(outputs[-1].finished)
        await runner.stop()
        assert (runner.state, runner.exit_code) == ("stopped", 0)
    first, second = ends
    assert first is not None
    assert second is not None
    assert (first.cached_tokens, second.cached_tokens) == (0, second.prompt_tokens - 1)
    assert texts[0] == texts[1]


async def test_unloading_in_mid_answer_neither_hangs_nor_kills(start_model: StartModel, shared_models: Path) -> None:
    runner = await start_model(shared_models / "gguf" / NAME)
    async with contextlib.aclosing(runner.generate(greedy(runner, "Once upon a time", -1))) as outputs:
        await anext(outputs)
        await runner.stop()
    assert runner.exit_code == 0
