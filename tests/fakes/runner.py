"""A runner without a process: the test says when it is loaded, dies and has stopped."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncGenerator, Sequence

from ollamapy import wire
from ollamapy.errors import LoadError
from ollamapy.scheduler.spec import LoadSpec, OnProgress
from tests.fakes.worker import ready_for


class FakeRunner:
    """Implements `ModelRunner`. With `is_quick`, loads and stops need no word of the test; prompts are echoed."""

    def __init__(self, spec: LoadSpec, *, is_quick: bool = False) -> None:
        self.spec = spec
        self.state = "stopped"
        self.ready: wire.Ready | None = None
        self.exit_code: int | None = None
        self.draft_tokens = self.accepted_tokens = 0
        self.on_progress: OnProgress | None = None
        self.was_cancelled = False
        self._is_quick = is_quick
        self._ids = itertools.count(1)
        self._load: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._may_stop = asyncio.Event()
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<FakeRunner {self.spec.name} {self.state}>"

    # ---- said by the test

    def finish_load(self) -> None:
        """Let `start` succeed."""
        self._load.set_result(None)

    def fail_load(self, error: Exception | None = None) -> None:
        """Let `start` fail."""
        self._load.set_exception(error or LoadError(f"could not load {self.spec.name}: it is broken"))

    def die(self, exit_code: int | None = -9) -> None:
        """End as a crashed worker does; with None, as one that goes wrong and has yet to end."""
        self.state, self.exit_code = "failed", exit_code
        self._ended.set()

    def finish_stop(self) -> None:
        """Let `stop` return."""
        self._may_stop.set()

    # ---- said by the scheduler

    async def start(self, on_progress: OnProgress | None = None) -> wire.Ready:
        """Wait for `finish_load` or `fail_load`."""
        self.state, self.on_progress = "starting", on_progress
        try:
            if not self._is_quick:
                await self._load
        except BaseException as exc:
            self.state = "failed"
            self.was_cancelled = isinstance(exc, asyncio.CancelledError)
            raise
        self.state, self.ready = "ready", ready_for(self.spec.load)
        return self.ready

    async def stop(self) -> None:
        """Wait for `finish_stop`."""
        if self.state == "ready":
            self.state = "stopping"
        if not self._is_quick:
            await self._may_stop.wait()
        self.state = "stopped" if self.state == "stopping" else self.state
        self._ended.set()

    async def wait_exit(self) -> None:
        """Wait for `die` or the end of `stop`."""
        await self._ended.wait()

    # ---- said by requests

    def next_id(self) -> int:
        """Return a new id."""
        return next(self._ids)

    async def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Output, None]:
        """Echo the prompt, a word per output."""
        words = "".join(segment.text for segment in request.segments).split(" ")
        for word in words:
            yield wire.Output(request.id, word + " ")
        yield wire.Output(request.id, "", finished=wire.Finished("stop", len(words), 0, len(words), 0.1, 0.2))

    async def tokenize(self, segments: Sequence[wire.Segment], add_special: bool = True) -> list[int]:
        """Return the code points."""
        return [ord(character) for segment in segments for character in segment.text]

    async def embed(self, request: wire.Embed) -> wire.Embeddings:
        """Return one number per input: the length of its text."""
        lengths = [sum(len(segment.text) for segment in segments) for segments in request.inputs]
        vectors = [struct.pack("<f", length) for length in lengths]
        return wire.Embeddings(request.id, vectors, sum(lengths), 0, 0.1)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of code points."""
        return "".join(map(chr, tokens))
