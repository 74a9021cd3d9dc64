"""The parent's side of a quantization: a worker process that is there for one file alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from ollamapy import wire
from ollamapy.errors import RunnerError
from ollamapy.runner.failures import describe_exit
from ollamapy.runner.log import last_words, without_folders
from ollamapy.runner.process import Listener, WorkerProcess

Spawn = Callable[[], Awaitable[WorkerProcess]]


async def quantize_file(spawn: Spawn, task: wire.Quantize) -> AsyncGenerator[wire.Quantizing, None]:
    """Yield the progress of a quantization; the target is written when it ends by itself.

    Leaving the generator early ends the worker at once. Raises LoadError, RunnerError.
    """
    worker = await spawn()
    messages: asyncio.Queue[wire.FromWorker | str] = asyncio.Queue()

    def on_end() -> None:
        messages.put_nowait(f"its process {describe_exit(worker.exit_code)}. {last_words(worker.log_tail)}".strip())

    worker.attach(Listener(messages.put_nowait, messages.put_nowait, on_end))
    try:
        worker.post(task)
        while not isinstance(message := await messages.get(), wire.Quantized):
            match message:
                case wire.Quantizing():
                    yield message
                case wire.QuantizeFailed(error=reason) | str(reason):
                    raise RunnerError(f"could not quantize the model: {without_folders(reason, [task.path])}")
                case _:
                    continue  # its greeting
    finally:
        worker.kill()
        await worker.end()
