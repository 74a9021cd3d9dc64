"""The scheduler: one task that owns the state of all models, takes events in one queue and carries out the policy."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from ollamapy import wire
from ollamapy.errors import LoadError, OllamapyError, OutOfMemoryError, QueueFullError, ServiceError
from ollamapy.scheduler.backoff import Failure, FailureKind, find_block, find_shortage, recent
from ollamapy.scheduler.clock import Clock, SystemClock, Timer
from ollamapy.scheduler.devices import Machine
from ollamapy.scheduler.policy import (
    Decision,
    Grant,
    Load,
    ModelView,
    Picture,
    Refuse,
    RequestView,
    Unload,
    decide,
    explain,
    next_change,
    remaining,
    shutdown_error,
)
from ollamapy.scheduler.spec import (
    Lease,
    LoadedModel,
    LoadSpec,
    ModelRunner,
    ModelState,
    WaitingRequest,
    covered_context,
    load_shape,
)

MODELS_PER_DEVICE = 3
FRESH_SECONDS = 1.0  # for how long a measurement of free memory counts
ENDLESS = Machine(host_total_bytes=1 << 62, host_free_bytes=1 << 62)

_log = logging.getLogger("ollamapy.scheduler")


class SchedulerSettings(Protocol):
    """What the scheduler reads of the settings."""

    @property
    def keep_alive_seconds(self) -> float:
        """How long an idle model stays where no request said otherwise; math.inf is for ever."""

    @property
    def max_queue(self) -> int:
        """How many requests may wait for a model."""


class _Request:
    """A caller of `acquire`, waiting or holding a lease of `model`."""

    def __init__(self, request_id: int, spec: LoadSpec, keep_alive_seconds: float | None, since: float) -> None:
        self.id = request_id
        self.spec = spec
        self.keep_alive_seconds = keep_alive_seconds
        self.since = since
        self.lease: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self.model: _Model | None = None


class _Model:
    """A slot and what is in it."""

    def __init__(self, model_id: int, spec: LoadSpec, keep_alive_seconds: float, reason: str) -> None:
        self.id = model_id
        self.spec = spec
        self.state: ModelState = "loading"
        self.reason = reason
        self.is_measured = False
        self.keep_alive_seconds = keep_alive_seconds
        self.busy = 0
        self.idle_since = 0.0
        self.progress = 0.0
        self.runner: ModelRunner | None = None
        self.ready: wire.Ready | None = None
        self.loading: asyncio.Task[wire.Ready] | None = None
        self.watching: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def expires_at(self) -> float:
        return self.idle_since + self.keep_alive_seconds


class Scheduler:
    """Loads models on demand, hands out leases first come first served, and evicts what is idle.

    At most `max_loaded` models are loaded at once, 0 for three per accelerator, or three. `survey` measures the memory
    of the machine, `prepare` is told which model is going to be loaded once there is room. `pinned` are names.

    Its task starts with the first call and ends with `close`; all public methods belong to one event loop.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        launch: Callable[[LoadSpec], ModelRunner],
        clock: Clock | None = None,
        *,
        max_loaded: int,
        survey: Callable[[], Awaitable[Machine]] | None = None,
        prepare: Callable[[LoadSpec], None] | None = None,
        pinned: Collection[str] = (),
        patience_seconds: float = 5.0,
        drain_seconds: float = 5.0,
    ) -> None:
        self._settings = settings
        self._launch = launch
        self._clock = clock or SystemClock()
        self._max_loaded = max_loaded
        self._survey = survey
        self._prepare = prepare
        self._pinned = frozenset(pinned)
        self._machine = None if survey else ENDLESS
        self._measured_at = -math.inf
        self._surveying: asyncio.Future[Machine] | None = None
        self._prepared = ""
        self._patience_seconds = patience_seconds
        self._drain_seconds = drain_seconds
        self._ids = itertools.count(1)
        self._models: dict[int, _Model] = {}
        self._waiting: dict[int, _Request] = {}
        self._failures: dict[str, tuple[Failure, ...]] = {}  # by shape: one caller's options are not all callers' loss
        self._close_at: float | None = None
        self._timer: Timer | None = None
        self._events: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        models = ", ".join(f"{model.spec.name} {model.state} {model.busy}" for model in self._models.values())
        return f"<Scheduler {len(self._waiting)} waiting | {models}>"

    # ---- for callers

    @asynccontextmanager
    async def acquire(self, spec: LoadSpec, keep_alive_seconds: float | None = None) -> AsyncIterator[Lease]:
        """Wait for the model, loading it where needed, and keep it loaded inside the block.

        `keep_alive_seconds` is how long it stays when idle afterwards: math.inf for ever, None as before. Raises
        QueueFullError, RunnerError (LoadError, WorkerTimeoutError), ServiceError while shutting down.
        """
        if self._close_at is not None:
            raise shutdown_error()
        request = _Request(next(self._ids), spec, keep_alive_seconds, self._clock.now())
        self._post(lambda: self._on_request(request))
        try:
            yield await request.lease
        finally:
            self._post(lambda: self._on_release(request))

    def loaded(self) -> list[LoadedModel]:
        """Return the models that are loaded, loading or stopping, the one that stays longest first."""
        lines = [self._describe(model) for model in self._models.values()]
        return sorted(lines, key=lambda line: line.expires_at, reverse=True)

    def waiting(self) -> list[WaitingRequest]:
        """Return the requests that have no model yet, in their order, with the reasons."""
        reasons, now = explain(self._picture()), self._clock.now()
        return [
            WaitingRequest(request.spec.name, now - request.since, reasons.get(request.id, "it has just come"))
            for request in self._waiting.values()
        ]

    async def machine(self, *, empty: bool = False) -> Machine:
        """Measure the machine, and return it without what the loaded models take of it unseen.

        With `empty` it is what there would be without models.
        """
        machine = await self._survey() if self._survey else ENDLESS
        models = [self._view(model) for model in self._models.values()]
        left = remaining(machine, models) or machine
        placements = [view.spec.placement for view in models if view.spec.placement] if empty else []
        for placement in placements:
            left = left.without([-size for size in placement.device_bytes], -placement.host_bytes)
        return left

    def check_alive(self) -> None:
        """Raise ServiceError where requests are not taken any more."""
        if self._close_at is not None:
            raise shutdown_error()

    async def unload(self, key: str) -> None:
        """Unload the model of this key when it is idle, and wait for that; one in use goes later, without a wait."""
        if self._task is None or self._task.done():
            return
        found: asyncio.Future[_Model | None] = asyncio.get_running_loop().create_future()
        self._post(lambda: self._on_unload(key, found))
        model = await found
        if model is not None:
            await asyncio.shield(model.gone)

    async def close(self) -> None:
        """Refuse new requests, let running ones end for a bounded time, and stop all models. Callers share one end."""
        if self._close_at is None:
            self._close_at = self._clock.now() + self._drain_seconds
        if self._task is not None:
            self._post(_nothing)
            await asyncio.shield(self._task)

    # ---- the task

    def _post(self, event: Callable[[], None]) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        self._events.put_nowait(event)

    async def _run(self) -> None:
        try:
            while self._close_at is None or self._models or self._waiting:
                (await self._events.get())()
                while not self._events.empty():
                    self._events.get_nowait()()
                self._settle()
        except Exception:
            _log.critical("the scheduler ended", exc_info=True)
            raise
        finally:
            self._abandon()

    def _settle(self) -> None:
        self._drop_dead()
        while decisions := decide(self._picture()):
            for decision in decisions:
                self._carry_out(decision)
        for request in self._surplus():
            self._refuse(request, QueueFullError())
        self._look_ahead()
        self._set_timer(next_change(self._picture()))

    def _surplus(self) -> list[_Request]:
        """Return the newest waiting requests that are too many: as many of a model as it runs at once do not count."""
        seen, queued = Counter[str](), list[_Request]()
        for request in self._waiting.values():
            seen[request.spec.key] += 1
            if seen[request.spec.key] > request.spec.load.n_parallel:
                queued.append(request)
        return queued[self._settings.max_queue :]

    def _look_ahead(self) -> None:
        """Measure the memory for what has to be loaded, and let what the next load needs be prepared."""
        loaded = {model.spec.key for model in self._models.values() if model.state != "stopping"}
        ahead = [request.spec for request in self._waiting.values() if request.spec.key not in loaded]
        if any(spec.shape is not None for spec in ahead) and self._survey and not self._is_measured():
            self._start_survey(self._survey)
        if ahead and self._prepare is not None and self._prepared != ahead[0].key:
            self._prepared = ahead[0].key
            self._prepare(ahead[0])

    def _is_measured(self) -> bool:
        return self._survey is None or self._clock.now() - self._measured_at < FRESH_SECONDS

    def _start_survey(self, survey: Callable[[], Awaitable[Machine]]) -> None:
        if self._surveying is None:
            seen = {model.id for model in self._models.values() if model.state != "loading"}
            self._surveying = asyncio.ensure_future(survey())
            self._surveying.add_done_callback(lambda task: self._post(lambda: self._on_survey(task, seen)))

    def _on_survey(self, task: asyncio.Future[Machine], seen: Collection[int]) -> None:
        self._surveying = None
        if not task.cancelled():
            self._machine, self._measured_at = task.result(), self._clock.now()
            for model in self._models.values():
                model.is_measured = model.id in seen

    def _most_loaded(self) -> int:
        devices = len(self._machine.devices) if self._machine else 0
        return self._max_loaded or MODELS_PER_DEVICE * max(devices, 1)

    def _picture(self) -> Picture:
        now = self._clock.now()
        shortages = {shape: find_shortage(failures, now) for shape, failures in self._failures.items()}
        blocks = {shape: find_block(failures, now) for shape, failures in self._failures.items()}
        return Picture(
            now=now,
            models=tuple(self._view(model) for model in self._models.values()),
            waiting=tuple(RequestView(r.id, r.spec, r.since) for r in self._waiting.values()),
            max_loaded=self._most_loaded(),
            patience_seconds=self._patience_seconds,
            blocked={shape: block for shape, block in blocks.items() if block is not None},
            close_at=self._close_at,
            machine=self._machine if self._is_measured() else None,
            shortages={shape: short for shape, short in shortages.items() if short is not None},
        )

    def _view(self, model: _Model) -> ModelView:
        return ModelView(
            id=model.id,
            spec=model.spec,
            state=model.state,
            busy=model.busy,
            idle_since=model.idle_since,
            expires_at=model.expires_at,
            is_pinned=model.spec.name in self._pinned,
            is_measured=model.is_measured,
        )

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Load(spec=spec, reason=reason):
                _log.info("loading %s: %s", spec.name, reason)
                self._load(spec, reason)
            case Unload(model_id=model_id, reason=reason):
                _log.info("unloading %s: %s", self._models[model_id].spec.name, reason)
                self._models[model_id].reason = reason
                self._stop(self._models[model_id])
            case Grant(request_id=request_id, model_id=model_id):
                self._grant(self._waiting.pop(request_id), self._models[model_id])
            case Refuse(request_id=request_id, error=error):
                self._refuse(self._waiting[request_id], error)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(when, lambda: self._post(_nothing)) if math.isfinite(when) else None

    def _abandon(self) -> None:
        if self._surveying is not None:
            self._surveying.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._close_at = self._close_at if self._close_at is not None else self._clock.now()
        for request in list(self._waiting.values()):
            self._refuse(request, ServiceError("the scheduler ended unexpectedly; restart the server"))

    # ---- requests

    def _on_request(self, request: _Request) -> None:
        self._waiting[request.id] = request

    def _on_release(self, request: _Request) -> None:
        self._waiting.pop(request.id, None)
        model, request.model = request.model, None
        if model is not None:
            model.busy -= 1
            model.idle_since = self._clock.now()

    def _grant(self, request: _Request, model: _Model) -> None:
        if request.lease.done():
            return  # the caller went away; its release is on its way
        if model.runner is None or model.ready is None:
            raise RuntimeError(f"{model.spec.name} was granted before it was loaded")
        if (
            model.busy >= model.ready.n_parallel + self._settings.max_queue
        ):  # the others wait inside the worker, as in a queue
            request.lease.set_exception(QueueFullError())
            return
        if request.keep_alive_seconds is not None:
            model.keep_alive_seconds = request.keep_alive_seconds
        model.busy += 1
        request.model = model
        waited = self._clock.now() - request.since
        num_ctx = min(request.spec.num_ctx or model.spec.num_ctx, covered_context(model.spec))
        if num_ctx > model.spec.num_ctx:
            model.spec = replace(model.spec, num_ctx=num_ctx)
        request.lease.set_result(Lease(model.runner, model.ready, waited, num_ctx))

    def _refuse(self, request: _Request, error: OllamapyError) -> None:
        del self._waiting[request.id]
        if not request.lease.done():
            request.lease.set_exception(error)

    # ---- models

    def _load(self, spec: LoadSpec, reason: str) -> None:
        self._prepared = ""
        model = _Model(next(self._ids), spec, self._settings.keep_alive_seconds, reason)
        self._models[model.id] = model
        model.loading = asyncio.create_task(self._start(model))
        model.loading.add_done_callback(lambda task: self._post(lambda: self._on_loaded(model, task)))

    async def _start(self, model: _Model) -> wire.Ready:
        def on_progress(fraction: float) -> None:
            model.progress = fraction

        model.runner = self._launch(model.spec)
        return await model.runner.start(on_progress)

    def _on_loaded(self, model: _Model, task: asyncio.Task[wire.Ready]) -> None:
        error = None if task.cancelled() else task.exception()
        if model.state != "loading":
            return
        if task.cancelled() or error is not None or model.runner is None:
            self._on_load_failed(model, error)
            return
        model.state = "ready"
        self._measured_at = -math.inf
        model.ready = task.result()
        model.idle_since = self._clock.now()
        model.watching = asyncio.create_task(model.runner.wait_exit())
        model.watching.add_done_callback(lambda _: self._post(_nothing))
        exits = tuple(failure for failure in self._failures.pop(load_shape(model.spec), ()) if failure.kind == "exit")
        if exits:
            self._failures[load_shape(model.spec)] = exits

    def _on_load_failed(self, model: _Model, cause: BaseException | None) -> None:
        if isinstance(cause, OllamapyError):
            error = cause
            _log.error("%s", error.message)
        else:
            error = LoadError(f"could not load {model.spec.name}: an internal error, see the server's log")
            _log.error("loading %s failed unexpectedly", model.spec.name, exc_info=cause)
        model.reason = error.message
        placement = model.spec.placement
        if isinstance(error, OutOfMemoryError) and placement is not None and not placement.is_second:
            self._note_failure(model, "memory", error.message)
            self._stop(model)  # whoever waits for it goes on to: it is loaded once more, with less
            return
        self._note_failure(model, "load", error.message)
        for request in list(self._waiting.values()):
            if load_shape(model.spec) == load_shape(request.spec):  # others may have more luck with a load of their own
                self._refuse(request, error)
        self._stop(model)

    def _drop_dead(self) -> None:
        for model in self._models.values():
            if model.state == "ready" and model.runner is not None and model.runner.state != "ready":
                code = model.runner.exit_code
                how = "went wrong and is ended" if code is None else f"ended by itself with code {code}"
                reason = f"its worker process {how}"
                _log.error("dropping %s: %s", model.spec.name, reason)
                self._note_failure(model, "exit", reason)
                model.reason = reason
                self._stop(model)

    def _note_failure(self, model: _Model, kind: FailureKind, reason: str) -> None:
        now, shape = self._clock.now(), load_shape(model.spec)
        old = {known: recent(failures, now) for known, failures in self._failures.items()}
        self._failures = {known: failures for known, failures in old.items() if failures}
        tried = model.spec.placement if kind == "memory" else None
        self._failures[shape] = (*old.get(shape, ()), Failure(now, kind, reason, tried))

    def _stop(self, model: _Model) -> None:
        model.state = "stopping"
        model.ending = asyncio.create_task(self._end(model))
        model.ending.add_done_callback(lambda task: self._post(lambda: self._on_stopped(model, task)))

    async def _end(self, model: _Model) -> None:
        tasks = [task for task in (model.loading, model.watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if model.runner is not None:
            await model.runner.stop()

    def _on_stopped(self, model: _Model, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("unloading %s failed", model.spec.name, exc_info=error)
        del self._models[model.id]
        self._measured_at = -math.inf
        model.gone.set_result(None)

    def _on_unload(self, key: str, found: asyncio.Future[_Model | None]) -> None:
        model = next((model for model in self._models.values() if model.spec.key == key), None)
        if model is not None and model.state != "stopping":
            model.keep_alive_seconds = 0.0
        if not found.done():
            found.set_result(None if model is not None and (model.busy or model.state == "loading") else model)

    def _describe(self, model: _Model) -> LoadedModel:
        now = self._clock.now()
        idle_since = model.idle_since if model.state == "ready" and not model.busy else now
        expires_at = self._clock.wall() + idle_since - now + model.keep_alive_seconds
        runner = model.runner
        return LoadedModel(
            model.spec,
            model.state,
            model.ready,
            model.progress,
            model.busy,
            expires_at,
            runner.draft_tokens if runner else 0,
            runner.accepted_tokens if runner else 0,
            model.reason,
        )


def _nothing() -> None:
    """Wake the scheduler: it looks at everything again after each event."""
