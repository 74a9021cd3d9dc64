"""One worker child process: its start, the frames to and from it, its last words and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from ollamapy import wire
from ollamapy.errors import LoadError, RunnerError, WorkerTimeoutError
from ollamapy.runner.frames import FrameSplitter
from ollamapy.runner.log import LogTail

LINGER_SECONDS = 1.0  # how long the pipes of a worker that is gone may stay open

_log = logging.getLogger("ollamapy.runner")


@dataclass(frozen=True, slots=True)
class Grace:
    """How long a worker may take: to end by itself after its input was closed, after SIGTERM, and to take input."""

    eof_seconds: float = 3.0
    terminate_seconds: float = 3.0
    input_seconds: float = 30.0


DEFAULT_GRACE = Grace()
PACKAGE_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a worker: each message, a message that can't be read, and its end (all output was seen by then)."""

    on_message: Callable[[wire.FromWorker], None]
    on_garbage: Callable[[str], None]
    on_end: Callable[[], None]


class WorkerProcess(asyncio.SubprocessProtocol):
    """A running child. Messages that come before `attach` are kept; reading never waits for a consumer."""

    def __init__(self, grace: Grace) -> None:
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._splitter = FrameSplitter()
        self._log_tail = LogTail()
        self._listener: Listener | None = None
        self._backlog: list[wire.FromWorker] = []
        self._garbage: str | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._transport: asyncio.SubprocessTransport

    # ---- for the runner

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._transport.get_pid()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._transport.get_returncode()

    @property
    def log_tail(self) -> str:
        """The last 64 KiB that it wrote to standard error."""
        return self._log_tail.text

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone and all its output was seen."""
        return self._gone.is_set()

    def attach(self, listener: Listener) -> None:
        """Give all messages, past and future, to this listener."""
        self._listener = listener
        backlog, self._backlog = self._backlog, []
        for message in backlog:
            listener.on_message(message)
        if self._garbage is not None:
            listener.on_garbage(self._garbage)
        if self.has_ended:
            listener.on_end()

    def detach(self, greeting: wire.Hello) -> None:
        """Keep the messages from now on for the next listener, who is greeted first."""
        self._listener = None
        self._backlog = [greeting]

    def post(self, message: wire.Message) -> None:
        """Queue a message for the worker without waiting; nothing happens once its input is closed."""
        stdin = self._stdin()
        if stdin is not None and not stdin.is_closing():
            stdin.write(wire.encode_frame(message))

    async def send(self, message: wire.Message) -> None:
        """Wait until the worker takes input, then queue the message; raises WorkerTimeoutError where it takes none."""
        try:
            async with asyncio.timeout(self._grace.input_seconds):
                await self._writable.wait()
        except TimeoutError:
            raise WorkerTimeoutError(
                f"the model's worker process has taken no input for {self._grace.input_seconds:g} seconds; "
                "unload the model and send the request again"
            ) from None
        self.post(message)

    async def wait_end(self) -> None:
        """Wait until the process is gone and reaped."""
        await self._gone.wait()

    async def end(self) -> None:
        """Ask the worker to end (EOF, then SIGTERM), force it (SIGKILL) in the end, and wait. Callers share one end."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end_step_by_step())
        await asyncio.shield(self._ending)

    def kill(self) -> None:
        """Send SIGKILL to the worker and to whatever it may have started."""
        self._signal(signal.SIGKILL)

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what came from standard output or error."""
        if fd == 2:
            self._log_tail.feed(data)
        elif self._garbage is None:
            self._receive(data)

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        """Release senders when the input breaks."""
        if fd == 0:
            self._writable.set()

    def process_exited(self) -> None:
        """Leave a moment for the rest of the output, then close the pipes, which a grandchild may hold open."""
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell that the process is gone and all its output was seen."""
        self._transport.close()
        self._writable.set()
        self._gone.set()
        if self._listener is not None:
            self._listener.on_end()

    def pause_writing(self) -> None:
        """Hold senders back: the worker does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._writable.set()

    # ---- inner parts

    def _receive(self, data: bytes) -> None:
        try:
            messages = [wire.decode_from_worker(body) for body in self._splitter.feed(data)]
        except (RunnerError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            self._garbage = str(exc)
            if self._listener is not None:
                self._listener.on_garbage(self._garbage)
            return
        if self._listener is None:
            self._backlog += messages
            return
        for message in messages:
            self._listener.on_message(message)

    async def _end_step_by_step(self) -> None:
        if (stdin := self._stdin()) is not None:
            stdin.close()
        steps = ((self._grace.eof_seconds, signal.SIGTERM), (self._grace.terminate_seconds, signal.SIGKILL))
        for seconds, number in steps:
            if await self._ends_within(seconds):
                return
            _log.warning("worker %d did not end within %g s: sending %s", self.pid, seconds, number.name)
            self._signal(number)
        await self.wait_end()

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.wait_end()
        except TimeoutError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is not None:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # the latter is macOS's answer for a process not yet reaped
            _log.debug("worker %d was gone before %s", self.pid, number.name)

    def _stdin(self) -> asyncio.WriteTransport | None:
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))


async def spawn_worker(command: Sequence[str], grace: Grace = DEFAULT_GRACE) -> WorkerProcess:
    """Start a worker in its own session, so that a terminal's Ctrl-C passes it by; raises LoadError.

    It runs in the folder that holds this package, from where `-m` finds it whether or not it is installed.
    """
    loop = asyncio.get_running_loop()
    try:
        _, process = await loop.subprocess_exec(
            lambda: WorkerProcess(grace),
            *command,
            cwd=PACKAGE_FOLDER,
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise LoadError(
            "could not start a worker process: the installation was replaced or removed while the daemon ran; "
            "restart the daemon"
        ) from exc
    except OSError as exc:
        raise LoadError(f"could not start a worker process: {exc.strerror or 'it was refused'}") from exc
    _log.debug("started worker %d", process.pid)
    return process
