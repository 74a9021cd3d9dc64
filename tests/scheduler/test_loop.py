from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ollamapy.config import Settings
from ollamapy.errors import (
    LoadError,
    ModelRestingError,
    ModelTooLargeError,
    OllamapyError,
    OutOfMemoryError,
    QueueFullError,
    ServiceError,
)
from ollamapy.scheduler.devices import Device, Machine
from ollamapy.scheduler.loop import Scheduler
from ollamapy.scheduler.placement import Wish
from ollamapy.scheduler.shape import LayerShape, ModelShape
from ollamapy.scheduler.spec import Lease, LoadSpec
from tests.fakes.clock import EPOCH, FakeClock
from tests.fakes.runner import FakeRunner
from tests.fakes.worker import READY
from tests.scheduler.specs import make_spec

pytestmark = pytest.mark.anyio
A, B, C = make_spec("a"), make_spec("b"), make_spec("c")
SETTINGS = Settings(max_queue=4)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Caller:
    """A task that acquires a model and holds it until it is told to let go."""

    def __init__(self, scheduler: Scheduler, spec: LoadSpec, keep_alive_seconds: float | None) -> None:
        self.lease: Lease | None = None
        self._may_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(scheduler, spec, keep_alive_seconds))
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # not every test looks at it

    async def _hold(self, scheduler: Scheduler, spec: LoadSpec, keep_alive_seconds: float | None) -> None:
        async with scheduler.acquire(spec, keep_alive_seconds) as lease:
            self.lease = lease
            await self._may_go.wait()

    @property
    def error(self) -> BaseException | None:
        return self.task.exception() if self.task.done() and not self.task.cancelled() else None

    def let_go(self) -> None:
        self._may_go.set()


class Stage:
    """A scheduler with fake runners and a clock that stands still; each step ends when all has come to rest."""

    def __init__(self, max_loaded: int = 1, settings: Settings | None = None) -> None:
        self.clock = FakeClock()
        self.runners: list[FakeRunner] = []
        self.scheduler = Scheduler(settings or SETTINGS, self._launch, self.clock, max_loaded=max_loaded)

    def _launch(self, spec: LoadSpec) -> FakeRunner:
        self.runners.append(FakeRunner(spec))
        return self.runners[-1]

    def __repr__(self) -> str:
        return repr(self.scheduler)[len("<Scheduler ") : -1]

    async def rest(self) -> None:
        """Let every task run until each of them waits; nothing here waits for the outside."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def ask(self, spec: LoadSpec, keep_alive_seconds: float | None = None) -> Caller:
        caller = Caller(self.scheduler, spec, keep_alive_seconds)
        await self.rest()
        return caller

    async def let_go(self, *callers: Caller) -> None:
        for caller in callers:
            caller.let_go()
        await self.rest()

    async def finish_load(self) -> None:
        self.runners[-1].finish_load()
        await self.rest()

    async def finish_stop(self, number: int = -1) -> None:
        self.runners[number].finish_stop()
        await self.rest()

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.rest()

    async def use(self, spec: LoadSpec, keep_alive_seconds: float | None = None) -> None:
        """Load a model and leave it idle."""
        caller = await self.ask(spec, keep_alive_seconds)
        await self.finish_load()
        await self.let_go(caller)

    async def use_again(self, spec: LoadSpec) -> None:
        """Use a model that is loaded."""
        await self.let_go(await self.ask(spec))

    async def fail(self, spec: LoadSpec) -> None:
        """Try to load a model in vain."""
        caller = await self.ask(spec)
        self.runners[-1].fail_load()
        await self.finish_stop()
        assert isinstance(caller.error, LoadError)

    async def end(self) -> None:
        """Close; whatever still runs is cut off."""
        closing = asyncio.create_task(self.scheduler.close())
        for runner in self.runners:
            runner.finish_stop()
        await self.rest()
        await self.advance(60)
        for runner in self.runners:
            runner.finish_stop()
        await closing
        assert self.scheduler.loaded() == []


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    one = Stage()
    yield one
    await one.end()


@pytest.fixture
async def two_slots() -> AsyncIterator[Stage]:
    two = Stage(max_loaded=2)
    yield two
    await two.end()


# ---- loading and sharing


async def test_a_model_is_loaded_on_demand(stage: Stage) -> None:
    caller = await stage.ask(A)
    assert repr(stage) == "1 waiting | a loading 0"
    await stage.advance(2)
    await stage.finish_load()
    assert repr(stage) == "0 waiting | a ready 1"
    assert caller.lease == Lease(stage.runners[0], READY, 2.0, 4096)
    await stage.let_go(caller)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_requests_share_one_load_and_one_runner(stage: Stage) -> None:
    callers = [await stage.ask(A) for _ in range(3)]
    await stage.finish_load()
    assert len(stage.runners) == 1
    assert repr(stage) == "0 waiting | a ready 3"
    late = await stage.ask(A)
    assert late.lease is not None
    assert late.lease.load_seconds == 0
    await stage.let_go(late, *callers)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_two_models_load_side_by_side(two_slots: Stage) -> None:
    first, second = await two_slots.ask(A), await two_slots.ask(B)
    assert repr(two_slots) == "2 waiting | a loading 0, b loading 0"
    await two_slots.finish_load()
    assert (first.lease, second.lease is None) == (None, False)


async def test_a_model_switch_waits_for_the_old_model_to_be_gone(stage: Stage) -> None:
    caller = await stage.ask(A)
    await stage.finish_load()
    switch = await stage.ask(B)
    assert repr(stage) == "1 waiting | a ready 1"
    await stage.let_go(caller)
    assert repr(stage) == "1 waiting | a stopping 0"
    await stage.finish_stop()
    assert repr(stage) == "1 waiting | b loading 0"
    await stage.finish_load()
    assert switch.lease is not None
    assert switch.lease.runner is stage.runners[1]


async def test_a_switch_happens_under_a_constant_stream_for_the_loaded_model(stage: Stage) -> None:
    running = await stage.ask(A)
    await stage.finish_load()
    switch = await stage.ask(B)
    for _ in range(4):
        following = await stage.ask(A)
        assert following.lease is not None
        await stage.let_go(running)
        running = following
        await stage.advance(1.5)
    held = await stage.ask(A)
    assert held.lease is None
    await stage.let_go(running)
    await stage.finish_stop()
    await stage.finish_load()
    assert switch.lease is not None
    assert held.lease is None
    await stage.let_go(switch)
    await stage.finish_stop()
    await stage.finish_load()
    assert held.lease is not None


async def test_patience_ends_without_another_event(stage: Stage) -> None:
    running = await stage.ask(A)
    await stage.finish_load()
    await stage.ask(B)
    await stage.advance(5)
    held = await stage.ask(A)
    assert held.lease is None
    await stage.let_go(running)


async def test_a_larger_context_reloads_and_a_smaller_one_does_not(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ollamapy.scheduler")
    await stage.use(make_spec("a", 2048))
    await stage.use_again(make_spec("a", 1024))
    assert len(stage.runners) == 1
    caller = await stage.ask(make_spec("a", 4096))
    await stage.finish_stop()
    await stage.finish_load()
    assert caller.lease is not None
    assert caller.lease.num_ctx == 4096
    assert "unloading a: reload: num_ctx 2048 -> 4096" in caplog.messages


# ---- keep_alive


async def test_an_idle_model_goes_after_its_keep_alive(stage: Stage) -> None:
    await stage.use(A)
    await stage.advance(299)
    assert repr(stage) == "0 waiting | a ready 0"
    await stage.advance(1)
    assert repr(stage) == "0 waiting | a stopping 0"
    await stage.finish_stop()
    assert repr(stage) == "0 waiting | "


async def test_keep_alive_starts_again_with_each_use(stage: Stage) -> None:
    await stage.use(A)
    await stage.advance(299)
    caller = await stage.ask(A)
    await stage.advance(1000)
    await stage.let_go(caller)
    await stage.advance(299)
    assert repr(stage) == "0 waiting | a ready 0"
    await stage.advance(1)
    assert repr(stage) == "0 waiting | a stopping 0"


async def test_keep_alive_0_unloads_at_once_when_idle(stage: Stage) -> None:
    first, second = await stage.ask(A), await stage.ask(A, 0.0)
    await stage.finish_load()
    await stage.let_go(second)
    assert repr(stage) == "0 waiting | a ready 1"
    await stage.let_go(first)
    assert repr(stage) == "0 waiting | a stopping 0"


async def test_keep_alive_for_ever(stage: Stage) -> None:
    await stage.use(A, math.inf)
    await stage.advance(1e9)
    assert [line.expires_at for line in stage.scheduler.loaded()] == [math.inf]


async def test_an_omitted_keep_alive_keeps_the_last_one(stage: Stage) -> None:
    await stage.use(A, 10.0)
    await stage.use_again(A)
    await stage.advance(10)
    assert repr(stage) == "0 waiting | a stopping 0"


async def test_a_model_loaded_anew_has_the_default_keep_alive(stage: Stage) -> None:
    await stage.use(A, 0.0)
    await stage.finish_stop()
    await stage.use(A)
    await stage.advance(299)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_ps_lists_the_model_that_stays_longest_first(two_slots: Stage) -> None:
    await two_slots.use(A, 10.0)
    await two_slots.use(B, 20.0)
    await two_slots.advance(1)
    lines = two_slots.scheduler.loaded()
    assert [(line.name, line.expires_at - EPOCH, line.state, line.busy) for line in lines] == [
        ("b", 20.0, "ready", 0),
        ("a", 10.0, "ready", 0),
    ]
    assert lines[0].ready == READY
    caller = await two_slots.ask(A)
    assert [line.expires_at - EPOCH for line in two_slots.scheduler.loaded()] == [20.0, 11.0]
    await two_slots.let_go(caller)


async def test_ps_shows_the_progress_of_a_load(stage: Stage) -> None:
    await stage.ask(A)
    on_progress = stage.runners[0].on_progress
    assert on_progress is not None
    on_progress(0.25)
    (line,) = stage.scheduler.loaded()
    assert (line.state, line.progress, line.ready) == ("loading", 0.25, None)


# ---- unload


async def test_unload_waits_until_an_idle_model_is_gone(stage: Stage) -> None:
    await stage.use(A)
    unloading = asyncio.create_task(stage.scheduler.unload("a"))
    await stage.rest()
    assert repr(stage) == "0 waiting | a stopping 0"
    assert not unloading.done()
    await stage.finish_stop()
    assert unloading.done()


async def test_unload_of_a_model_in_use_happens_later(stage: Stage) -> None:
    caller = await stage.ask(A)
    await stage.finish_load()
    await stage.scheduler.unload("a")
    assert repr(stage) == "0 waiting | a ready 1"
    await stage.let_go(caller)
    assert repr(stage) == "0 waiting | a stopping 0"


async def test_unload_of_an_unknown_model_is_nothing(stage: Stage) -> None:
    await stage.scheduler.unload("a")
    await stage.use(A)
    await stage.scheduler.unload("b")
    assert repr(stage) == "0 waiting | a ready 0"


# ---- callers that go away


async def test_a_waiter_that_goes_away_is_forgotten(stage: Stage) -> None:
    running = await stage.ask(A)
    await stage.finish_load()
    waiting = await stage.ask(B)
    waiting.task.cancel()
    await stage.rest()
    assert repr(stage) == "0 waiting | a ready 1"
    await stage.let_go(running)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_a_load_that_nobody_waits_for_is_cancelled(stage: Stage) -> None:
    first, second = await stage.ask(A), await stage.ask(A)
    first.task.cancel()
    await stage.rest()
    assert repr(stage) == "1 waiting | a loading 0"
    second.task.cancel()
    await stage.rest()
    assert stage.runners[0].was_cancelled
    assert repr(stage) == "0 waiting | a stopping 0"
    await stage.finish_stop()
    assert repr(stage) == "0 waiting | "


async def test_a_holder_that_is_cancelled_gives_its_lease_back(stage: Stage) -> None:
    caller = await stage.ask(A)
    await stage.finish_load()
    caller.task.cancel()
    await stage.rest()
    assert repr(stage) == "0 waiting | a ready 0"


async def test_a_waiter_cancelled_in_the_moment_of_its_grant_holds_nothing(stage: Stage) -> None:
    await stage.use(A)
    caller = Caller(stage.scheduler, A, None)
    for _ in range(2):  # the request is posted, then granted
        await asyncio.sleep(0)
        caller.task.cancel()
    await stage.rest()
    assert repr(stage) == "0 waiting | a ready 0"


async def test_a_full_queue_refuses_the_newest(stage: Stage) -> None:
    running = await stage.ask(A)
    await stage.finish_load()
    waiting = [await stage.ask(B) for _ in range(5)]
    assert [type(caller.error) for caller in waiting] == [type(None)] * 4 + [QueueFullError]
    loaded = await stage.ask(A)
    assert loaded.lease is not None, "a request that needs no wait is not refused"
    await stage.let_go(loaded, running)


async def test_more_than_a_model_answers_at_once_wait_in_it_up_to_the_same_bound(stage: Stage) -> None:
    spec = make_spec("p", n_parallel=2)
    held = [await stage.ask(spec)]
    await stage.finish_load()
    held += [await stage.ask(spec) for _ in range(5)]
    assert all(caller.lease is not None for caller in held)
    refused = await stage.ask(spec)
    assert isinstance(refused.error, QueueFullError)
    await stage.let_go(held[0])
    again = await stage.ask(spec)
    assert again.lease is not None
    assert repr(stage) == "0 waiting | p ready 6"
    await stage.let_go(again, *held[1:])


async def test_a_model_that_is_still_to_be_loaded_refuses_no_more_than_a_loaded_one(stage: Stage) -> None:
    spec = make_spec("p", n_parallel=2)
    callers = [await stage.ask(spec) for _ in range(7)]
    assert [type(caller.error) for caller in callers] == [type(None)] * 6 + [QueueFullError]
    await stage.finish_load()
    await stage.let_go(*callers[:6])


# ---- failures


async def test_a_failed_load_fails_all_who_waited_for_it_and_nobody_else(stage: Stage) -> None:
    first, second, other = await stage.ask(A), await stage.ask(A), await stage.ask(B)
    stage.runners[0].fail_load()
    await stage.finish_stop()
    assert isinstance(first.error, LoadError)
    assert isinstance(second.error, LoadError)
    assert other.error is None
    assert repr(stage) == "1 waiting | b loading 0"


async def test_the_next_request_after_a_failed_load_tries_again(stage: Stage) -> None:
    await stage.fail(A)
    await stage.use(A)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_a_model_that_fails_three_times_gets_a_rest(stage: Stage) -> None:
    for _ in range(3):
        await stage.fail(A)
    refused = await stage.ask(A)
    assert isinstance(refused.error, ModelRestingError)
    assert refused.error.message == (
        "a is not loaded: it failed 3 times within 30 seconds; the next attempt is possible in 30 seconds. "
        "Last failure: could not load a: it is broken"
    )
    await stage.use(B)
    await stage.advance(30)
    await stage.ask(A)
    await stage.finish_stop()
    assert repr(stage) == "1 waiting | a loading 0"


async def test_the_rest_is_for_the_options_that_failed(stage: Stage) -> None:
    for _ in range(3):
        await stage.fail(make_spec("a", n_batch=7))
    refused = await stage.ask(make_spec("a", n_batch=7))
    assert isinstance(refused.error, ModelRestingError)
    await stage.use(A)
    assert repr(stage) == "0 waiting | a ready 0"


async def test_a_load_that_fails_for_a_large_context_is_tried_with_a_smaller_one(stage: Stage) -> None:
    large, small = await stage.ask(make_spec("a", 1 << 20)), await stage.ask(A)
    stage.runners[0].fail_load()
    await stage.rest()
    await stage.finish_stop()
    assert isinstance(large.error, LoadError)
    assert small.error is None
    assert repr(stage) == "1 waiting | a loading 0"


async def test_a_successful_load_clears_the_record(stage: Stage) -> None:
    for _ in range(2):
        await stage.fail(A)
    await stage.use(A, 0.0)
    await stage.finish_stop()
    await stage.fail(A)
    await stage.ask(A)
    assert repr(stage) == "1 waiting | a loading 0"


async def test_an_unexpected_failure_is_a_load_error_too(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caller = await stage.ask(A)
    stage.runners[0].fail_load(KeyError("a mistake of ours"))
    await stage.rest()
    assert isinstance(caller.error, LoadError)
    assert "loading a failed unexpectedly" in caplog.messages


async def test_a_dead_runner_is_dropped_and_loaded_anew(stage: Stage) -> None:
    caller = await stage.ask(A)
    await stage.finish_load()
    stage.runners[0].die()
    await stage.rest()
    assert repr(stage) == "0 waiting | a stopping 1"
    await stage.finish_stop()
    assert repr(stage) == "0 waiting | "
    await stage.let_go(caller)
    await stage.use(A)
    assert len(stage.runners) == 2


@pytest.mark.parametrize(
    ("exit_code", "told"), [(-9, "ended by itself with code -9"), (None, "went wrong and is ended")]
)
async def test_a_dead_runner_is_dropped_with_the_reason(stage: Stage, exit_code: int | None, told: str) -> None:
    await stage.use(A)
    stage.runners[0].die(exit_code)
    await stage.use_again(B)
    assert stage.scheduler.loaded()[0].reason == f"its worker process {told}"
    stage.runners[0].finish_stop()


async def test_a_runner_that_died_a_moment_ago_is_not_handed_out(stage: Stage) -> None:
    await stage.use(A)
    stage.runners[0].die()
    caller = Caller(stage.scheduler, A, None)
    await stage.rest()
    await stage.finish_stop()
    await stage.finish_load()
    assert caller.lease is not None
    assert caller.lease.runner is stage.runners[1]


async def test_other_models_live_on_when_one_dies(two_slots: Stage) -> None:
    await two_slots.use(A)
    caller = await two_slots.ask(B)
    await two_slots.finish_load()
    two_slots.runners[0].die()
    await two_slots.finish_stop(0)
    assert repr(two_slots) == "0 waiting | b ready 1"
    await two_slots.let_go(caller)


# ---- closing


async def test_closing_waits_for_running_requests(stage: Stage) -> None:
    running = await stage.ask(A)
    await stage.finish_load()
    waiting = await stage.ask(B)
    closing = asyncio.create_task(stage.scheduler.close())
    await stage.rest()
    assert isinstance(waiting.error, ServiceError)
    assert repr(stage) == "0 waiting | a ready 1"
    with pytest.raises(ServiceError, match="shutting down"):
        async with stage.scheduler.acquire(A):
            pass
    await stage.let_go(running)
    assert repr(stage) == "0 waiting | a stopping 0"
    await stage.finish_stop()
    await closing
    await stage.scheduler.close()


async def test_closing_does_not_wait_for_ever(stage: Stage) -> None:
    await stage.ask(A)
    await stage.finish_load()
    closing = asyncio.create_task(stage.scheduler.close())
    await stage.rest()
    await stage.advance(5)
    assert repr(stage) == "0 waiting | a stopping 1"
    await stage.finish_stop()
    await closing


async def test_closing_cancels_loads(stage: Stage) -> None:
    caller = await stage.ask(A)
    closing = asyncio.create_task(stage.scheduler.close())
    await stage.rest()
    assert isinstance(caller.error, ServiceError)
    assert stage.runners[0].was_cancelled
    await stage.finish_stop()
    await closing


async def test_a_scheduler_that_was_never_used_closes() -> None:
    stage = Stage()
    await stage.scheduler.close()
    with pytest.raises(ServiceError):
        async with stage.scheduler.acquire(A):
            pass


async def test_an_error_inside_the_block_gives_the_lease_back(stage: Stage) -> None:
    await stage.use(A)
    with contextlib.suppress(OllamapyError):
        async with stage.scheduler.acquire(A):
            raise OllamapyError("the request failed")
    await stage.rest()
    assert repr(stage) == "0 waiting | a ready 0"


GIB = 1 << 30
ROOMY = Machine((Device("X0", "X", "gpu", "paper", 8 * GIB, 8 * GIB),), 8 * GIB, 8 * GIB)


def sized_spec(key: str, size_gib: int = 5) -> LoadSpec:
    layers = tuple(LayerShape(size_gib * GIB // 8, 64, 64) for _ in range(8))
    shape = ModelShape(layers, 0, 0, 0, 0, 64, 128, 1000, 1, 64, 4096, is_recurrent=False)
    return replace(make_spec(key, 0), shape=shape)


class Surveyed(Stage):
    """A stage with a machine that is measured when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.surveys: list[asyncio.Future[Machine]] = []
        self.prepared: list[str] = []
        self.scheduler = Scheduler(
            SETTINGS,
            self._launch,
            self.clock,
            max_loaded=0,
            survey=self._survey,
            prepare=lambda spec: self.prepared.append(spec.key),
            pinned=["p"],
        )

    async def _survey(self) -> Machine:
        self.surveys.append(asyncio.get_running_loop().create_future())
        return await self.surveys[-1]

    async def measured(self, machine: Machine = ROOMY) -> None:
        self.surveys[-1].set_result(machine)
        await self.rest()


async def test_a_model_is_placed_once_the_machine_is_measured() -> None:
    stage = Surveyed()
    caller = await stage.ask(sized_spec("a"))
    assert stage.runners == []
    (waiting,) = stage.scheduler.waiting()
    assert (waiting.name, waiting.reason) == ("a", "free memory is being measured")
    await stage.measured()
    assert stage.runners[0].spec.load.devices == ["X0"]
    assert [line.reason for line in stage.scheduler.loaded()] == ["a request asked for it; all layers on X0"]
    assert [request.reason for request in stage.scheduler.waiting()] == ["the model is loading"]
    await stage.finish_load()
    assert caller.lease.num_ctx == 4096
    await stage.let_go(caller)
    await stage.end()


async def test_memory_is_measured_again_after_each_load_and_what_comes_next_is_prepared() -> None:
    stage = Surveyed()
    first = await stage.ask(sized_spec("a"))
    await stage.measured()
    await stage.finish_load()
    await stage.let_go(first)
    second = await stage.ask(sized_spec("b"))
    assert len(stage.surveys) == 2
    await stage.measured(ROOMY.without([5 * GIB], 0))
    assert stage.prepared[-1] == "b"
    assert [(line.name, line.state, line.reason) for line in stage.scheduler.loaded()] == [
        ("a", "stopping", "evicted for b, which needs memory")
    ]
    await stage.finish_stop()
    await stage.measured()
    await stage.finish_load()
    await stage.let_go(second)
    await stage.end()


async def test_a_pinned_model_is_never_evicted() -> None:
    stage = Surveyed()
    first = await stage.ask(sized_spec("p"))
    await stage.measured()
    await stage.finish_load()
    await stage.let_go(first)
    second = await stage.ask(sized_spec("b"))
    await stage.measured(ROOMY.without([5 * GIB], 0))
    assert {line.name: line.state for line in stage.scheduler.loaded()} == {"p": "ready", "b": "loading"}
    assert stage.runners[1].spec.placement.fit == "partial"
    await stage.finish_load()
    await stage.let_go(second)
    await stage.end()


async def test_a_larger_context_is_served_from_the_pool_and_shown() -> None:
    stage = Stage()
    await stage.use(replace(make_spec("a", 2048), load=make_spec("a", 9000).load))
    caller = await stage.ask(make_spec("a", 8192))
    assert caller.lease.num_ctx == 8192
    assert [line.spec.num_ctx for line in stage.scheduler.loaded()] == [8192]
    await stage.let_go(caller)
    await stage.end()


async def run_out(stage: Surveyed) -> None:
    """Let the load that is under way fail for want of memory, and what it had be given back and measured."""
    stage.runners[-1].fail_load(OutOfMemoryError("could not load a: unable to allocate X0 buffer"))
    await stage.rest()
    await stage.finish_stop()
    if not stage.surveys[-1].done():
        await stage.measured()


async def test_a_load_that_ran_out_of_memory_is_repeated_once_with_less() -> None:
    stage = Surveyed()
    caller = await stage.ask(sized_spec("a"))
    await stage.measured()
    await run_out(stage)
    first, second = (runner.spec.placement for runner in stage.runners)
    assert (first.fit, second.fit) == ("full", "partial")
    (line,) = stage.scheduler.loaded()
    assert line.reason.endswith("and all layers on X0 failed for want of memory, it seems")
    await stage.finish_load()
    assert caller.lease.num_ctx == 4096
    await stage.let_go(caller)
    await stage.end()


async def test_a_load_that_runs_out_of_memory_twice_fails() -> None:
    stage = Surveyed()
    caller = await stage.ask(sized_spec("a"))
    await stage.measured()
    await run_out(stage)
    await stage.advance(60)  # however long it takes
    await run_out(stage)
    assert len(stage.runners) == 2
    assert isinstance(caller.error, OutOfMemoryError)
    await stage.end()


async def test_a_load_that_ran_out_of_memory_and_must_not_take_less_is_refused_with_both_reasons() -> None:
    stage = Surveyed()
    spec = sized_spec("a")
    caller = await stage.ask(replace(spec, wish=Wish(num_ctx=4096, parallel=1, gpu_layers=9)))
    await stage.measured()
    await run_out(stage)
    assert len(stage.runners) == 1
    assert isinstance(caller.error, ModelTooLargeError)
    told = "could not load a: unable to allocate X0 buffer; with what was asked for it can't take less: it needs "
    assert caller.error.message.startswith(told)
    await stage.end()
