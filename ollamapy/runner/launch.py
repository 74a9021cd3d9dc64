"""Where runners get their worker processes from, and the spare worker that makes a hot swap cheap."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import AsyncGenerator, Sequence

from ollamapy import wire
from ollamapy.errors import LoadError
from ollamapy.runner.failures import measure_error
from ollamapy.runner.file_task import run_file_task
from ollamapy.runner.process import DEFAULT_GRACE, PACKAGE_FOLDER, Grace, Listener, WorkerProcess, spawn_worker
from ollamapy.runner.runner import Runner


def worker_command(search_path: Sequence[str], module: str = "ollamapy.worker") -> tuple[str, ...]:
    """Return the command that runs a worker, or another module; `search_path` is this interpreter's `sys.path`.

    `-P` keeps the folder that it runs in, which is the package's, from coming before the standard library. A checkout
    that is not installed is found in no other way.
    """
    is_installed = str(PACKAGE_FOLDER) in search_path[1:]
    return (sys.executable, *(("-P",) if is_installed else ()), "-m", module)


WORKER_COMMAND = worker_command(sys.path)
CONVERT_COMMAND = worker_command(sys.path, "ollamapy.convert")

SWAPPING_SECONDS = 60.0  # who loads again within that time is likely to do so once more
QUICK_SECONDS = 0.2

_log = logging.getLogger("ollamapy.runner")


class WorkerPool:
    """Makes runners and keeps at most one spare worker, which has imported everything and waits for its model.

    The spare is started some seconds after a load finished, so that an idle daemon stays small and the first answer
    is not disturbed, and at once where models are swapped. A spare that died is replaced by a fresh worker when one is
    needed.
    """

    def __init__(
        self,
        command: Sequence[str] = WORKER_COMMAND,
        *,
        keep_spare: bool,
        load_timeout_seconds: float = math.inf,
        step_timeout_seconds: float = math.inf,
        spare_delay_seconds: float = 5.0,
        measure_seconds: float = 60.0,
        grace: Grace = DEFAULT_GRACE,
    ) -> None:
        self._command = tuple(command)
        self._keep_spare = keep_spare
        self._is_closed = self._is_spawning = False
        self._loaded_at = -math.inf
        self._load_timeout_seconds = load_timeout_seconds
        self._step_timeout_seconds = step_timeout_seconds
        self._spare_delay_seconds = spare_delay_seconds
        self._measure_seconds = measure_seconds
        self._grace = grace
        self._spare: WorkerProcess | None = None
        self._refill: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<WorkerPool, spare pid {self.spare_pid}>"

    @property
    def spare_pid(self) -> int | None:
        """The process id of the spare worker, None where there is none."""
        return self._spare.pid if self._spare is not None and not self._spare.has_ended else None

    def runner(self, name: str, load: wire.LoadModel) -> Runner:
        """Return a runner, not started yet; `name` is what error messages call the model."""
        return Runner(
            name,
            load,
            self._take,
            load_timeout_seconds=self._load_timeout_seconds,
            step_timeout_seconds=self._step_timeout_seconds,
            on_ready=self._plan_refill,
        )

    async def measure(self) -> list[wire.Device]:
        """Let the spare worker tell which accelerators there are and what is free; raises LoadError where none can.

        Where there is no spare one is started, which then is the spare.
        """
        worker = await self._take()
        answer: asyncio.Future[list[wire.Device]] = asyncio.get_running_loop().create_future()

        def on_message(message: wire.FromWorker) -> None:
            if isinstance(message, wire.Devices) and not answer.done():
                answer.set_result(message.devices)

        def on_end(why: str = "") -> None:
            if not answer.done():
                answer.set_exception(measure_error(worker.exit_code, why or worker.log_tail))

        worker.attach(Listener(on_message, on_end, on_end))
        try:
            async with asyncio.timeout(self._measure_seconds):
                worker.post(wire.Measure())
                devices = await answer
        except BaseException as exc:
            worker.kill()
            await worker.end()
            if isinstance(exc, TimeoutError):
                raise LoadError(f"a worker did not tell its devices within {self._measure_seconds:g} seconds") from exc
            raise
        worker.detach(wire.Hello(worker.pid))
        await self._keep(worker)
        return devices

    def warm(self) -> None:
        """Start a spare worker now where there is none and none has been started."""
        if self._keep_spare and self.spare_pid is None and not self._is_spawning:
            if self._refill is not None:
                self._refill.cancel()
            self._refill = asyncio.create_task(self._start_spare(0.0))

    async def _keep(self, worker: WorkerProcess) -> None:
        """Make a worker the spare, unless there is one by now."""
        if self._is_closed or self.spare_pid is not None:
            await worker.end()
        else:
            self._spare = worker

    def run_file_task(self, task: wire.FileTask) -> AsyncGenerator[wire.FileProgress, None]:
        """Do work on a file in a process of its own; see `run_file_task`."""
        return run_file_task(self._take if isinstance(task, wire.Quantize) else self._spawn_converter, task)

    async def wait_spare(self) -> int | None:
        """Wait for the spare that is on its way, if one is; return the spare's process id."""
        if self._refill is not None:
            await asyncio.wait({self._refill})
        return self.spare_pid

    async def close(self) -> None:
        """Stop the spare and keep none from now on; runners are stopped by their owners."""
        self._keep_spare, self._is_closed = False, True
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait({self._refill})
        if self._spare is not None:
            spare, self._spare = self._spare, None
            await spare.end()

    async def _spawn_converter(self) -> WorkerProcess:
        return await spawn_worker(CONVERT_COMMAND, self._grace)

    async def _take(self) -> WorkerProcess:
        spare, self._spare = self._spare, None
        if spare is not None and spare.exit_code is None:
            return spare
        return await spawn_worker(self._command, self._grace)

    def _plan_refill(self) -> None:
        now = asyncio.get_running_loop().time()
        is_swapping = now - self._loaded_at < SWAPPING_SECONDS
        self._loaded_at = now
        if self._keep_spare and self.spare_pid is None and (self._refill is None or self._refill.done()):
            delay = min(self._spare_delay_seconds, QUICK_SECONDS) if is_swapping else self._spare_delay_seconds
            self._refill = asyncio.create_task(self._start_spare(delay))

    async def _start_spare(self, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        self._is_spawning = True
        try:
            await self._keep(await spawn_worker(self._command, self._grace))
        except LoadError as exc:
            _log.warning("no spare worker: %s", exc.message)
        finally:
            self._is_spawning = False
