"""The parent's handle of one worker: its state machine, and the way from messages to the requests they belong to."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from ollamapy import wire
from ollamapy.errors import LoadError, OllamapyError, RunnerError, WorkerExitedError
from ollamapy.runner.failures import (
    describe_exit,
    load_exit_error,
    load_failed_error,
    load_stall_error,
    request_error,
    step_stall_error,
)
from ollamapy.runner.log import last_words, without_folders
from ollamapy.runner.process import Listener, WorkerProcess

State = Literal["stopped", "starting", "ready", "stopping", "failed"]
OnProgress = Callable[[float], None]
Spawn = Callable[[], Awaitable[WorkerProcess]]
Answer = wire.Tokens | wire.Text | wire.Embeddings
A = TypeVar("A", wire.Tokens, wire.Text, wire.Embeddings)

_log = logging.getLogger("ollamapy.runner")


class Runner:
    """One model in one worker process, for one life.

    stopped -> `start` -> starting -> ready -> `stop` -> stopping -> stopped. A worker that dies, stalls or talks
    nonsense makes it failed, and failed it stays: a new runner is made for the next attempt.
    """

    def __init__(
        self,
        name: str,
        load: wire.LoadModel,
        spawn: Spawn,
        *,
        load_timeout_seconds: float = math.inf,
        step_timeout_seconds: float = math.inf,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.state: State = "stopped"
        self.ready: wire.Ready | None = None
        self.cells_used = self.draft_tokens = self.accepted_tokens = 0
        self._load = load
        self._spawn = spawn
        self._load_timeout_seconds = load_timeout_seconds if load_timeout_seconds > 0 else math.inf
        self._step_timeout_seconds = step_timeout_seconds
        self._heard_at = 0.0  # when the worker last spoke, or was first asked something after a rest
        self._step_timer: asyncio.TimerHandle | None = None
        self._on_ready = on_ready
        self._on_progress: OnProgress | None = None
        self._worker: WorkerProcess | None = None
        self._loading: asyncio.Future[wire.Ready] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._ids = itertools.count(1)
        self._mailboxes: dict[int, asyncio.Queue[wire.Output | OllamapyError]] = {}
        self._questions: dict[int, asyncio.Future[Answer]] = {}
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Runner {self.name} {self.state}, pid {self.pid}, {len(self._mailboxes)} running>"

    @property
    def pid(self) -> int | None:
        """The worker's process id, None before its start."""
        return self._worker.pid if self._worker else None

    @property
    def exit_code(self) -> int | None:
        """How the worker ended, None before that; negative for a signal."""
        return self._worker.exit_code if self._worker else None

    @property
    def log_tail(self) -> str:
        """The last 64 KiB that the worker wrote to standard error, without folder names."""
        return self._without_folders(self._worker.log_tail) if self._worker else ""

    def next_id(self) -> int:
        """Return a request id that was not used before."""
        return next(self._ids)

    # ---- life

    async def start(self, on_progress: OnProgress | None = None) -> wire.Ready:
        """Start the worker and load the model; raises LoadError or WorkerTimeoutError.

        `on_progress` is given the fraction of the weights that are loaded. A cancelled start ends its worker.
        """
        if self._loading is not None:
            raise RunnerError(f"the runner of {self.name} was started before")
        self._loading = asyncio.get_running_loop().create_future()
        self._on_progress = on_progress
        self.state = "starting"
        try:
            self._worker = await self._spawn()
            self._rearm_stall_timer()
            self._worker.attach(Listener(self._on_message, self._on_garbage, self._on_end))
            self.ready = await self._loading
        except BaseException:
            await self._give_up()
            raise
        if self._on_ready is not None:
            self._on_ready()
        return self.ready

    async def stop(self) -> None:
        """Unload: the worker is told to, its input is closed, then SIGTERM, then SIGKILL; returns once it is reaped.

        May be called at any time and by several callers; requests that still run end in RunnerError.
        """
        if self.state == "ready" and self._worker is not None:
            self._worker.post(wire.Unload())
        if self.state in ("starting", "ready"):
            self.state = "stopping"
            self._fail_all(self._unloaded_error)
        if self._worker is not None:
            await self._worker.end()
        if self.state == "stopping":
            self.state = "stopped"

    async def wait_exit(self) -> None:
        """Wait until the worker has ended, for whatever reason."""
        await self._ended.wait()

    # ---- requests

    async def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Output, None]:
        """Yield what the worker adds to this request, until an output has `finished`.

        Leaving the generator early cancels the request in the worker at once: close it with `contextlib.aclosing`.
        Raises ContextLengthError, InvalidInputError, CapacityError, WorkerExitedError and other RunnerErrors.
        """
        worker = self._ready_worker()
        self._watch_steps()
        mailbox: asyncio.Queue[wire.Output | OllamapyError] = asyncio.Queue()
        self._mailboxes[request.id] = mailbox
        is_running = True
        try:
            await worker.send(request)
            while is_running:
                item = await mailbox.get()
                if isinstance(item, OllamapyError):
                    is_running = False
                    raise item
                is_running = item.finished is None
                yield item
        finally:
            del self._mailboxes[request.id]
            if is_running:
                worker.post(wire.Cancel(request.id))

    async def tokenize(self, segments: Sequence[wire.Segment], add_special: bool = True) -> list[int]:
        """Return the token ids of a prompt."""
        request_id = self.next_id()
        question = wire.Tokenize(request_id, list(segments), add_special)
        return (await self._ask(request_id, question, wire.Tokens)).tokens

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids."""
        request_id = self.next_id()
        return (await self._ask(request_id, wire.Detokenize(request_id, list(tokens)), wire.Text)).text

    async def embed(self, request: wire.Embed) -> wire.Embeddings:
        """Return the vectors of all inputs; cancelling the call cancels the request in the worker.

        Raises InvalidInputError for an input that is too long or a vector that is no number, and RunnerErrors.
        """
        try:
            return await self._ask(request.id, request, wire.Embeddings)
        except asyncio.CancelledError:
            if self._worker is not None:
                self._worker.post(wire.Cancel(request.id))
            raise

    async def _ask(self, request_id: int, question: wire.Message, kind: type[A]) -> A:
        worker = self._ready_worker()
        self._watch_steps()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions[request_id] = future
        try:
            await worker.send(question)
            answer = await future
        finally:
            del self._questions[request_id]
        if not isinstance(answer, kind):
            raise RunnerError(f"the worker of {self.name} answered another question")
        return answer

    def _ready_worker(self) -> WorkerProcess:
        if self.state == "failed":
            raise self._exit_error()
        if self.state != "ready" or self._worker is None:
            raise RunnerError(f"{self.name} is not loaded (its runner is {self.state}); send the request again")
        return self._worker

    # ---- what the worker says

    def _on_message(self, message: wire.FromWorker) -> None:
        if self.state == "ready":
            self._heard_at = asyncio.get_running_loop().time()
            self._on_answer(message)
        elif self.state == "starting":
            self._on_load_message(message)

    def _on_answer(self, message: wire.FromWorker) -> None:
        if type(message) is wire.Step:
            self.cells_used = message.cells_used
            self.draft_tokens, self.accepted_tokens = message.draft_tokens, message.accepted_tokens
            for output in message.outputs:
                if (mailbox := self._mailboxes.get(output.id)) is not None:
                    mailbox.put_nowait(output)
        elif isinstance(message, Answer):
            if (answer := self._questions.get(message.id)) is not None and not answer.done():
                answer.set_result(message)
        elif isinstance(message, wire.Failed):
            clean = msgspec.structs.replace(message, error=self._without_folders(message.error))
            self._fail(message.id, request_error(clean))
        elif not isinstance(message, wire.Beat):
            self._on_garbage(f"{type(message).__name__} came after the model was loaded")

    def _on_load_message(self, message: wire.FromWorker) -> None:
        self._rearm_stall_timer()
        match message:
            case wire.Hello() if self._worker is not None:
                self._worker.post(self._load)
            case wire.LoadProgress(fraction=fraction):
                if self._on_progress is not None:
                    self._on_progress(fraction)
            case wire.Ready() if self._loading is not None:
                self.state = "ready"
                self._cancel_stall_timer()
                self._loading.set_result(message)
                _log.info("loaded %s in worker %s", self.name, self.pid)
            case wire.LoadFailed(error=reason):
                self._break(lambda: load_failed_error(self.name, self._without_folders(reason)))
            case _:
                self._on_garbage(f"{type(message).__name__} came before the model was loaded")

    def _on_garbage(self, why: str) -> None:
        _log.error("worker %s of %s sent a message that can't be read: %s", self.pid, self.name, why)
        self._break(
            lambda: RunnerError(
                f"the worker process of {self.name} sent a malformed message and was ended; send the request again"
            )
        )

    def _on_stall(self) -> None:
        self._break(lambda: load_stall_error(self.name, self._load_timeout_seconds))

    def _watch_steps(self) -> None:
        """Notice when requests run and the worker says nothing: one of its steps does not end."""
        loop = asyncio.get_running_loop()
        if not self._mailboxes and not self._questions:
            self._heard_at = loop.time()
        if self._step_timer is None and math.isfinite(self._step_timeout_seconds):
            self._step_timer = loop.call_later(self._step_timeout_seconds, self._check_steps)

    def _check_steps(self) -> None:
        self._step_timer = None
        if self.state != "ready" or not (self._mailboxes or self._questions):
            return
        loop = asyncio.get_running_loop()
        left = self._heard_at + self._step_timeout_seconds - loop.time()
        if left > 0:
            self._step_timer = loop.call_later(left, self._check_steps)
        else:
            self._break(lambda: step_stall_error(self.name, self._step_timeout_seconds))

    def _on_end(self) -> None:
        self._ended.set()
        self._cancel_stall_timer()
        if self._step_timer is not None:
            self._step_timer.cancel()
        if self.state in ("starting", "ready"):
            _log.error("worker %s of %s %s", self.pid, self.name, describe_exit(self.exit_code))
            error = self._load_exit_error if self.state == "starting" else self._exit_error
            self.state = "failed"
            self._fail_all(error)

    # ---- failures

    def _break(self, error: Callable[[], OllamapyError]) -> None:
        if self.state in ("starting", "ready") and self._worker is not None:
            self.state = "failed"
            self._fail_all(error)
            self._worker.kill()

    async def _give_up(self) -> None:
        self._cancel_stall_timer()
        if self.state in ("starting", "ready"):
            self.state = "failed"
        if self._worker is None:
            self._ended.set()
            return
        self._worker.kill()
        await self._worker.end()

    def _fail_all(self, error: Callable[[], OllamapyError]) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(error())
        for request_id in [*self._mailboxes, *self._questions]:
            self._fail(request_id, error())

    def _fail(self, request_id: int, error: OllamapyError) -> None:
        if (mailbox := self._mailboxes.get(request_id)) is not None:
            mailbox.put_nowait(error)
        elif (answer := self._questions.get(request_id)) is not None and not answer.done():
            answer.set_exception(error)

    def _exit_error(self) -> OllamapyError:
        return WorkerExitedError(self.exit_code, self.log_tail, last_words(self.log_tail))

    def _load_exit_error(self) -> OllamapyError:
        return load_exit_error(self.name, self.exit_code, self.log_tail)

    def _unloaded_error(self) -> OllamapyError:
        if self._loading is not None and not self._loading.done():
            return LoadError(f"{self.name} was unloaded while it was loading")
        return RunnerError(f"{self.name} was unloaded while it was answering; send the request again")

    def _without_folders(self, text: str) -> str:
        return without_folders(text, files_of(self._load))

    def _rearm_stall_timer(self) -> None:
        self._cancel_stall_timer()
        if self.state == "starting" and math.isfinite(self._load_timeout_seconds):
            loop = asyncio.get_running_loop()
            self._stall_timer = loop.call_later(self._load_timeout_seconds, self._on_stall)

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def files_of(load: wire.LoadModel) -> list[str]:
    """Return all files that a model is loaded from."""
    return [load.path, *load.adapters, *load.shards, load.projector, load.draft]
