"""The parent's side of work on a file: a process that is there for it alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from ollamapy import wire
from ollamapy.errors import InvalidFileError, RunnerError
from ollamapy.runner.failures import describe_exit
from ollamapy.runner.log import last_words, without_folders
from ollamapy.runner.process import Listener, WorkerProcess

Spawn = Callable[[], Awaitable[WorkerProcess]]
VERBS = {wire.Quantize: "quantize", wire.Translate: "translate", wire.Convert: "convert"}


async def run_file_task(spawn: Spawn, task: wire.FileTask) -> AsyncGenerator[wire.FileProgress, None]:
    """Yield the progress of a task; its targets are written when it ends by itself.

    Leaving the generator early ends the process at once. Raises InvalidFileError, LoadError, RunnerError.
    """
    worker = await spawn()
    messages: asyncio.Queue[wire.FromWorker | str] = asyncio.Queue()

    def on_end() -> None:
        messages.put_nowait(f"its process {describe_exit(worker.exit_code)}. {last_words(worker.log_tail)}".strip())

    worker.attach(Listener(messages.put_nowait, messages.put_nowait, on_end))
    try:
        worker.post(task)
        while not isinstance(message := await messages.get(), wire.FileDone):
            match message:
                case wire.FileProgress():
                    yield message
                case wire.FileFailed(error=reason, is_refusal=True):
                    raise InvalidFileError(without_folders(reason))
                case wire.FileFailed(error=reason) | str(reason):
                    told = without_folders(reason, [] if isinstance(task, wire.Convert) else [task.path])
                    raise RunnerError(f"could not {VERBS[type(task)]} the model: {told}")
                case _:
                    continue  # its greeting
    finally:
        worker.kill()
        await worker.end()
