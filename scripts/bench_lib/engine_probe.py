"""Measures where a decode step of our engine goes: llama.cpp's decode, its samplers, and everything else.

A program of its own, run within the checkout: a plan as JSON on standard input, the mean times as JSON on standard
output. It drives the engine without daemon and pipes, and encodes its messages as a worker does.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ollamapy import wire
from ollamapy.errors import OllamapyError
from ollamapy.worker.engine import Engine
from ollamapy.worker.llama import Llama
from ollamapy.worker.output import Publisher
from ollamapy.worker.plan import Slice
from ollamapy.worker.speculator import Speculator

WARM_STEPS = 4


@dataclass(slots=True)
class Clock:
    """Seconds spent inside llama.cpp since the last reset."""

    decode: float = 0.0
    sample: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: a prompt per client, tokens to generate, threads, cells, and the sampling of every client."""

    path: str
    texts: list[str]
    max_tokens: int
    threads: int
    n_ctx: int
    sampling: dict[str, Any]


@dataclass(slots=True)
class Steps:
    """Seconds of each step in which all clients decoded."""

    total: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    sample: list[float] = field(default_factory=list)


class TimedPublisher(Publisher):
    """A publisher that adds up the time in which it samples, in however many threads."""

    clock: Clock

    def draw_all(self, due: list[tuple[Slice, int]]) -> list[int | OllamapyError]:
        """Sample as usual."""
        began = perf_counter()
        drawn = super().draw_all(due)
        self.clock.sample += perf_counter() - began
        return drawn


class TimedLlama(Llama):
    """A model that adds up the time of its decodes."""

    clock = Clock()

    def decode(self, n_tokens: int) -> None:
        """Decode as usual."""
        began = perf_counter()
        super().decode(n_tokens)
        self.clock.decode += perf_counter() - began


def run_engine(plan: Plan) -> Steps:
    """Generate for all clients at once; return the times of the steps in which all of them decoded."""
    load = wire.LoadModel(plan.path, [], plan.n_ctx, n_seq_max=len(plan.texts) + 1, n_threads=plan.threads)
    llama = TimedLlama(load, lambda _: None)
    sent: list[bytes] = []
    publisher = TimedPublisher(llama, perf_counter, llama.n_threads)
    publisher.clock = llama.clock
    engine = Engine(
        llama,
        lambda message: sent.append(wire.encode_frame(message)),
        perf_counter,
        speculator=Speculator(None, perf_counter),
        publisher=publisher,
    )
    for number, text in enumerate(plan.texts):
        tokens = llama.tokenize(text, add_special=True, parse_special=False)
        request = wire.Generate(
            number, [], [], False, wire.Sampling(**plan.sampling), num_ctx=plan.n_ctx, max_tokens=plan.max_tokens
        )
        engine.add(request, tokens)
    # random weights draw all tokens alike, so that nearly each would be a first one
    for token in range(llama.n_vocab):
        llama.spoken(token)
    gc.freeze()  # as a worker does
    steps = Steps()
    while engine.is_busy:
        sent.clear()
        llama.clock.decode = llama.clock.sample = 0.0
        began = perf_counter()
        engine.step()
        seconds = perf_counter() - began
        if outputs_in(sent) == len(plan.texts):
            steps.total.append(seconds)
            steps.decode.append(llama.clock.decode)
            steps.sample.append(llama.clock.sample)
    return steps


def outputs_in(frames: list[bytes]) -> int:
    """Return how many clients got something in these frames."""
    messages = [wire.decode_from_worker(frame[wire.HEADER.size :]) for frame in frames]
    return sum(len(message.outputs) for message in messages if isinstance(message, wire.Step))


def mean_ms(seconds: list[float]) -> float:
    """Return the mean in milliseconds, without the first steps."""
    kept = seconds[WARM_STEPS:]
    return 1000 * sum(kept) / len(kept)


def main() -> None:
    """Run the plan from standard input."""
    steps = run_engine(Plan(**json.loads(sys.stdin.read())))
    decode, sample = mean_ms(steps.decode), mean_ms(steps.sample)
    other = mean_ms(steps.total) - decode - sample
    json.dump({"steps": len(steps.total), "decode_ms": decode, "sample_ms": sample, "other_ms": other}, sys.stdout)


if __name__ == "__main__":
    main()
