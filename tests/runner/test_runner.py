from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct

import pytest

from ollamapy.errors import (
    ContextLengthError,
    InvalidInputError,
    LoadError,
    OptionError,
    RunnerError,
    WorkerExitedError,
    WorkerTimeoutError,
)
from ollamapy.runner.launch import WorkerPool
from ollamapy.runner.process import Grace
from ollamapy.runner.runner import Runner
from ollamapy.wire import Embed, Segment
from tests.fakes.worker import READY
from tests.runner.conftest import LOAD, MakeRunner, answer, generate, is_running

pytestmark = pytest.mark.anyio
IMPATIENT = Grace(0.05, 0.05)


# ---- loading


async def test_a_started_runner_is_ready_and_reports_progress(make_runner: MakeRunner) -> None:
    runner = make_runner("--progress", "4")
    progress: list[float] = []
    assert await runner.start(progress.append) == READY
    assert progress == [0.25, 0.5, 0.75, 1.0]
    assert runner.ready == READY
    assert repr(runner) == f"<Runner fake:latest ready, pid {runner.pid}, 0 running>"


async def test_a_runner_that_was_not_started_has_no_process(make_runner: MakeRunner) -> None:
    runner = make_runner()
    assert repr(runner) == "<Runner fake:latest stopped, pid None, 0 running>"
    with pytest.raises(RunnerError, match="not loaded"):
        await answer(runner, "hello")
    await runner.stop()
    assert runner.state == "stopped"


async def test_a_refused_model_is_a_load_error_without_folders(make_runner: MakeRunner) -> None:
    runner = make_runner("--load=failed")
    with pytest.raises(
        LoadError, match=r"fake:latest: llama_model_load: .* sha256-aa: tensor 'x' is missing"
    ) as caught:
        await runner.start()
    assert "/models" not in caught.value.message
    assert runner.state == "failed"
    assert not is_running(runner.pid)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--hello=crash"], "exited with code 3.*Its last words: error: out of luck", id="before-hello"),
        pytest.param(["--hello=die-after"], "exited with code 0", id="after-hello"),
        pytest.param(["--load=exit"], "exited with code 7.*Its last words: error: out of luck", id="exit-in-load"),
        pytest.param(["--load=signal"], "killed by signal 9.*Its last words: error: out of luck", id="killed-in-load"),
    ],
)
async def test_a_death_before_ready_is_a_load_error(make_runner: MakeRunner, flags: list[str], message: str) -> None:
    runner = make_runner(*flags, "--last-words", "error: out of luck")
    with pytest.raises(LoadError, match=message):
        await runner.start()
    assert runner.state == "failed"
    assert not is_running(runner.pid)


@pytest.mark.parametrize("way", ["garbage", "bad-frame", "hello-again"])
async def test_nonsense_while_loading_is_an_error(make_runner: MakeRunner, way: str) -> None:
    runner = make_runner(f"--load={way}", "--hello=send")
    if way == "hello-again":  # a second greeting is harmless until the model is loaded
        await runner.start()
        return
    with pytest.raises(RunnerError, match="malformed message"):
        await runner.start()
    assert not is_running(runner.pid)


@pytest.mark.parametrize("flag", ["--hello=never", "--load=stall"])
async def test_a_load_without_progress_times_out(make_runner: MakeRunner, flag: str) -> None:
    runner = make_runner(flag, load_timeout_seconds=0.2)
    with pytest.raises(WorkerTimeoutError, match="OLLAMA_LOAD_TIMEOUT"):
        await runner.start()
    assert runner.state == "failed"
    assert not is_running(runner.pid)


async def test_a_command_that_does_not_exist_is_a_load_error() -> None:
    runner = WorkerPool(("/nonexistent/worker",), keep_spare=False).runner("fake", LOAD)
    with pytest.raises(LoadError, match="could not start a worker process"):
        await runner.start()
    assert runner.state == "failed"
    await runner.wait_exit()


async def test_cancelling_a_load_ends_its_worker(make_runner: MakeRunner) -> None:
    runner = make_runner("--load=stall")
    reached = asyncio.Event()
    task = asyncio.create_task(runner.start(lambda fraction: reached.set()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(runner.pid)


async def test_stopping_a_load_fails_it(make_runner: MakeRunner) -> None:
    runner = make_runner("--load=stall")
    reached = asyncio.Event()
    task = asyncio.create_task(runner.start(lambda fraction: reached.set()))
    await reached.wait()
    await runner.stop()
    with pytest.raises(LoadError, match="unloaded while it was loading"):
        await task
    assert not is_running(runner.pid)


async def test_a_runner_starts_once(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    with pytest.raises(RunnerError, match="started before"):
        await runner.start()


# ---- requests


async def test_an_answer_streams_until_it_has_finished(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    outputs = [output async for output in runner.generate(generate(runner, "once upon a time"))]
    assert [output.text for output in outputs] == ["once ", "upon ", "a ", "time ", ""]
    assert [output.finished is not None for output in outputs] == [False] * 4 + [True]


async def test_answers_that_run_together_do_not_mix(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    prompts = [f"{number} one two {number}" for number in range(50)]
    answers = await asyncio.gather(*(answer(runner, prompt) for prompt in prompts))
    assert answers == [prompt + " " for prompt in prompts]
    assert repr(runner).endswith("0 running>")


async def test_leaving_an_answer_early_cancels_it(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    request = generate(runner, "!stall")
    async with contextlib.aclosing(runner.generate(request)) as outputs:
        assert (await anext(outputs)).text == "first "
        assert repr(runner).endswith("1 running>")
    assert await runner.detokenize([]) == f"cancelled [{request.id}]"
    assert repr(runner).endswith("0 running>")


async def test_cancelling_the_reader_cancels_the_request(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    request = generate(runner, "!stall")
    first = asyncio.Event()

    async def read() -> None:
        async with contextlib.aclosing(runner.generate(request)) as outputs:
            async for _ in outputs:
                first.set()

    task = asyncio.create_task(read())
    await first.wait()
    task.cancel()
    await asyncio.wait({task})
    assert await runner.detokenize([]) == f"cancelled [{request.id}]"


async def test_an_answer_that_was_read_to_its_end_is_not_cancelled(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    assert await answer(runner, "hello") == "hello "
    assert await runner.detokenize([]) == "cancelled []"


async def test_outputs_of_forgotten_requests_are_ignored(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    assert await answer(runner, "!unknown-id") == "!unknown-id "


async def test_a_refused_request_leaves_the_others_alone(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    with pytest.raises(ContextLengthError, match="90 tokens"):
        await answer(runner, "!failed:context_length")
    with pytest.raises(OptionError, match="must not be negative"):
        await answer(runner, "!failed:option")
    assert await answer(runner, "still here") == "still here "
    assert await runner.detokenize([]) == "cancelled []"


async def test_text_becomes_tokens_and_text_again(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    assert await runner.tokenize([Segment("ab"), Segment("c")]) == [97, 98, 99]
    assert await runner.detokenize([97, 98, 99]) == "abc"


@pytest.mark.parametrize(("way", "code"), [("crash-prefill", 7), ("crash-decode", -9)])
async def test_a_worker_that_dies_fails_every_running_request(make_runner: MakeRunner, way: str, code: int) -> None:
    runner = make_runner("--last-words", "GGML_ASSERT(/src/a/b.c:1) failed")
    await runner.start()
    streams = [runner.generate(generate(runner, "!stall")) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    for failing in (answer(runner, f"!{way}"), *(anext(stream) for stream in streams)):
        with pytest.raises(WorkerExitedError, match=r"Its last words: GGML_ASSERT\(b.c:1\) failed") as caught:
            await failing
        assert caught.value.exit_code == code
    assert runner.state == "failed"
    assert runner.exit_code == code
    assert not is_running(runner.pid)
    with pytest.raises(WorkerExitedError):
        await answer(runner, "hello")


async def test_a_worker_killed_from_outside_ends_the_stream_with_its_signal(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    stream = runner.generate(generate(runner, "!stall"))
    await anext(stream)
    assert runner.pid is not None
    os.kill(runner.pid, signal.SIGKILL)
    with pytest.raises(WorkerExitedError, match="killed by signal 9"):
        await anext(stream)
    await runner.wait_exit()


@pytest.mark.parametrize("way", ["garbage", "bad-frame", "hello-again"])
async def test_nonsense_while_answering_ends_the_worker(make_runner: MakeRunner, way: str) -> None:
    runner = make_runner()
    await runner.start()
    other = runner.generate(generate(runner, "!stall"))
    await anext(other)
    for failing in (answer(runner, f"!{way}"), anext(other)):
        with pytest.raises(RunnerError, match="malformed message"):
            await failing
    await runner.wait_exit()
    assert runner.state == "failed"
    assert not is_running(runner.pid)


async def test_a_death_is_noticed_though_a_grandchild_holds_the_pipes_open(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    with pytest.raises(WorkerExitedError, match="killed by signal 9"):
        await answer(runner, "!leave-child")


async def test_a_question_fails_when_the_worker_dies(make_runner: MakeRunner) -> None:
    runner = make_runner("--stop-reading")
    await runner.start()
    question = asyncio.create_task(runner.detokenize([97]))
    await asyncio.sleep(0)
    assert runner.pid is not None
    os.kill(runner.pid, signal.SIGKILL)
    with pytest.raises(WorkerExitedError):
        await question


async def test_a_worker_that_stops_reading_blocks_nobody_else(make_runner: MakeRunner) -> None:
    deaf, well = make_runner("--stop-reading", grace=IMPATIENT), make_runner()
    await deaf.start()
    await well.start()
    stuck = [asyncio.create_task(answer(deaf, "x" * 100_000)) for _ in range(8)]
    assert await answer(well, "hello") == "hello "
    for task in stuck:
        task.cancel()
    await asyncio.wait(stuck)
    await deaf.stop()
    assert not is_running(deaf.pid)


async def test_a_request_that_the_worker_does_not_take_fails_in_time(make_runner: MakeRunner) -> None:
    runner = make_runner("--stop-reading", grace=Grace(0.05, 0.05, input_seconds=0.05))
    await runner.start()
    filling = asyncio.create_task(answer(runner, "x" * 10_000_000))
    await asyncio.sleep(0)
    with pytest.raises(WorkerTimeoutError, match="taken no input"):
        await answer(runner, "hello")
    filling.cancel()
    await asyncio.wait({filling})


# ---- stopping


async def test_stopping_ends_the_process_by_itself(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    await runner.stop()
    assert (runner.state, runner.exit_code) == ("stopped", 0)
    assert not is_running(runner.pid)
    await runner.stop()
    with pytest.raises(RunnerError, match="is stopped"):
        await answer(runner, "hello")


async def test_concurrent_stops_share_one_end(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    await asyncio.gather(*(runner.stop() for _ in range(5)))
    assert runner.exit_code == 0


async def test_a_stop_that_is_cancelled_still_ends_the_process(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    stopping = asyncio.create_task(runner.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping})
    await runner.wait_exit()
    assert not is_running(runner.pid)


async def test_stopping_fails_running_requests(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    stream = runner.generate(generate(runner, "!stall"))
    await anext(stream)
    await runner.stop()
    with pytest.raises(RunnerError, match="unloaded while it was answering"):
        await anext(stream)


async def test_a_worker_deaf_to_everything_is_killed(make_runner: MakeRunner) -> None:
    runner = make_runner("--deaf", grace=IMPATIENT)
    await runner.start()
    await runner.stop()
    assert runner.exit_code == -signal.SIGKILL
    assert not is_running(runner.pid)


async def test_a_worker_that_reads_no_more_is_ended_by_a_signal(make_runner: MakeRunner) -> None:
    runner = make_runner("--stop-reading", grace=Grace(0.05, 30))
    await runner.start()
    await runner.stop()
    assert runner.exit_code == -signal.SIGTERM


async def test_the_worker_is_out_of_the_terminals_reach(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    assert runner.pid is not None
    assert os.getsid(runner.pid) == runner.pid != os.getsid(0)


# ---- embeddings


def embed(runner: Runner, *texts: str) -> Embed:
    return Embed(runner.next_id(), [[Segment(text)] for text in texts], 512)


async def test_vectors_come_in_the_order_of_their_inputs(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    answers = await asyncio.gather(runner.embed(embed(runner, "a", "bcd")), runner.embed(embed(runner, "ef")))
    lengths = [[struct.unpack("<2f", vector)[0] for vector in answer.vectors] for answer in answers]
    assert lengths == [[1, 3], [2]]


async def test_embedding_that_is_cancelled_is_forgotten_by_the_worker(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    request = embed(runner, "!stall")
    task = asyncio.create_task(runner.embed(request))
    await runner.tokenize([Segment("x")])  # by now the worker has read what came before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await runner.detokenize([]) == f"cancelled [{request.id}]"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("invalid", InvalidInputError), ("context_length", ContextLengthError), ("internal", RunnerError)],
)
async def test_what_a_worker_refuses_to_embed_is_an_error(
    make_runner: MakeRunner, kind: str, error: type[Exception]
) -> None:
    runner = make_runner()
    await runner.start()
    with pytest.raises(error):
        await runner.embed(embed(runner, f"!failed:{kind}"))
    assert (await runner.embed(embed(runner, "next"))).prompt_tokens == 4


async def test_a_worker_that_dies_while_it_embeds_fails_the_request(make_runner: MakeRunner) -> None:
    runner = make_runner()
    await runner.start()
    with pytest.raises(WorkerExitedError, match="killed by signal 9"):
        await runner.embed(embed(runner, "!signal"))


async def test_a_step_that_does_not_end_ends_the_worker(make_runner: MakeRunner) -> None:
    runner = make_runner("--generate=stall", step_timeout_seconds=0.2)
    await runner.start()
    with pytest.raises(WorkerTimeoutError, match=r"no progress for 0\.2 seconds and was ended.*OLLAMAPY_STEP_TIMEOUT"):
        await answer(runner, "hello")
    assert runner.state == "failed"


async def test_an_idle_worker_may_be_silent_for_ever(make_runner: MakeRunner) -> None:
    runner = make_runner(step_timeout_seconds=0.05)
    await runner.start()
    assert await answer(runner, "a b") == "a b "
    assert runner.state == "ready"
    assert await answer(runner, "c") == "c "
