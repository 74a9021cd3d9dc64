"""Drives an engine in this process: requests in, outputs collected, a clock that only ticks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import count
from pathlib import Path

from ollamapy import wire
from ollamapy.worker.cell_state import CellState
from ollamapy.worker.constraint import Constraint
from ollamapy.worker.draft import DraftModel
from ollamapy.worker.engine import Engine
from ollamapy.worker.llama import Llama
from ollamapy.worker.parking import PIECE_BYTES, Parking
from ollamapy.worker.prefixes import Node
from ollamapy.worker.speculator import Speculator

GREEDY = wire.Sampling(temperature=0.0)


def load_llama(
    path: Path, *, n_ctx: int = 2048, n_batch: int = 256, n_seq_max: int = 64, f32: bool = True, n_threads: int = 1
) -> Llama:
    load = wire.LoadModel(
        path=str(path),
        adapters=[],
        n_ctx=n_ctx,
        n_batch=n_batch,
        n_seq_max=n_seq_max,
        n_threads=n_threads,
        kv_cache_type="f32" if f32 else "f16",
        flash_attention="off",
    )
    return Llama(load, lambda _fraction: None)


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: next(ticks) * 0.001


class CountedParking(Parking):
    """Counts the tokens that came back."""

    n_returned = 0

    def fill(self, node: Node, seq_id: int) -> bool:
        self.n_returned += len(node.tokens)
        return super().fill(node, seq_id)


class Driver:
    """An engine with its outputs by request id."""

    def __init__(
        self,
        llama: Llama,
        *,
        n_parallel: int = 0,
        speculates: bool = False,
        draft: DraftModel | None = None,
        parking_bytes: int = 0,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.llama = llama
        self.frames: list[wire.Step] = []
        self.text: dict[int, str] = defaultdict(str)
        self.logprobs: dict[int, list[wire.Logprob]] = defaultdict(list)
        self.prompt_logprobs: dict[int, list[wire.Logprob]] = defaultdict(list)
        self.finished: dict[int, wire.Finished] = {}
        self.failed: dict[int, wire.Failed] = {}
        clock = ticking()
        speculator = Speculator(draft, clock) if speculates else None
        self.parking = CountedParking(CellState(llama), parking_bytes, piece_bytes) if parking_bytes else None
        self.engine = Engine(
            llama, self._receive, clock, n_parallel=n_parallel, speculator=speculator, parking=self.parking
        )
        self._ids = count(1)

    def _receive(self, message: wire.Message) -> None:
        if isinstance(message, wire.Failed):
            self.failed[message.id] = message
        elif isinstance(message, wire.Step):
            self.frames.append(message)
            for output in message.outputs:
                assert output.id not in self.finished, "nothing may follow the end"
                self.text[output.id] += output.text
                self.logprobs[output.id] += output.logprobs
                self.prompt_logprobs[output.id] += output.prompt_logprobs
                if output.finished:
                    self.finished[output.id] = output.finished

    def add(self, prompt: str, *, constraint: Constraint | None = None, **settings: object) -> int:
        request_id = next(self._ids)
        values: dict[str, object] = {"sampling": GREEDY, "num_ctx": 512, "max_tokens": 24, **settings}
        request = wire.Generate(request_id, [wire.Segment(prompt)], [], True, **values)  # type: ignore[arg-type]
        tokens = self.llama.tokenize(prompt, add_special=True, parse_special=True)
        self.engine.add(request, tokens, constraint)
        return request_id

    def run(self, most: int = 100_000) -> None:
        steps = 0
        while self.engine.is_busy:
            self.engine.step()
            steps += 1
            assert steps < most, f"no end in sight: {self.engine!r}"

    def answer(self, prompt: str, **settings: object) -> str:
        request_id = self.add(prompt, **settings)
        self.run()
        return self.text[request_id]
