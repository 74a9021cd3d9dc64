"""Measures answers as a client sees them: how long until the first token, and how fast the others follow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median

from ollamapy.client import AsyncClient
from ollamapy.dialects.native import NANOSECONDS
from ollamapy.errors import ServiceError
from ollamapy.types import GenerateRequest, Options

WARM_UP_TOKENS = 8
WORD_LIST = (
    "amber barn cedar delta ember field grove harbor island juniper kettle lantern meadow needle orchard pebble quarry "
    "river saddle timber umber valley willow yarrow zephyr"
)
WORDS = WORD_LIST.split()
SEED = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: seconds until its first token, seconds that the daemon took from there to the last one.

    A client that counted by itself would be fooled by tokens that arrive together. `cached_tokens` of the prompt were
    computed before.
    """

    first_seconds: float
    decode_seconds: float
    prompt_tokens: int
    cached_tokens: int
    tokens: int

    @property
    def rate(self) -> float:
        """Tokens per second behind the first one; 0 where there is no second one."""
        return (self.tokens - 1) / self.decode_seconds if self.tokens > 1 and self.decode_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What samples that ran at the same time say; `seconds` is from the first question to the last token."""

    samples: tuple[Sample, ...]
    seconds: float

    @property
    def first_seconds(self) -> float:
        """The time to the first token that half of the clients waited at most."""
        return median(sample.first_seconds for sample in self.samples)

    @property
    def worst_first_seconds(self) -> float:
        """The longest time to a first token."""
        return max(sample.first_seconds for sample in self.samples)

    @property
    def client_rate(self) -> float:
        """Tokens per second of an answer once it has begun; 0 where none has a second token."""
        return median([sample.rate for sample in self.samples if sample.rate] or [0.0])

    @property
    def total_rate(self) -> float:
        """Tokens per second of all clients together, the wait for first tokens included."""
        return sum(sample.tokens for sample in self.samples) / self.seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked: prompts of `prompt_words` words that have nothing in common, answers of `tokens` tokens."""

    model: str
    clients: int
    rounds: int
    tokens: int
    prompt_words: int = 32


async def measure(client: AsyncClient, plan: Plan, tell: Callable[[str], None]) -> tuple[Figures, Figures]:
    """Return the figures of one client and of all at once, of several rounds the one with the median rate.

    `tell` is told what is measured. Raises what the answers fail with.
    """
    source = random.Random(SEED)  # noqa: S311 - the same prompts in each run, so that runs can be compared
    tell("warming up")
    await _round(client, plan, [_prompt(source, plan)], WARM_UP_TOKENS)
    best: list[Figures] = []
    for clients in (1, plan.clients):
        figures = []
        for number in range(plan.rounds):
            tell(f"measuring {clients} client{'s' if clients > 1 else ''}, round {number + 1} of {plan.rounds}")
            prompts = [_prompt(source, plan) for _ in range(clients)]
            figures.append(await _round(client, plan, prompts, plan.tokens))
        best.append(middle(figures))
    return best[0], best[1]


def middle(rounds: Sequence[Figures]) -> Figures:
    """Return the round whose rate is the median, the slower one of two."""
    return sorted(rounds, key=lambda figures: figures.total_rate)[(len(rounds) - 1) // 2]


async def _round(client: AsyncClient, plan: Plan, prompts: Sequence[str], tokens: int) -> Figures:
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(client, plan.model, prompt, tokens)) for prompt in prompts]
    return Figures(tuple(task.result() for task in tasks), time.perf_counter() - begin)


async def _ask(client: AsyncClient, model: str, prompt: str, tokens: int) -> Sample:
    begin, first = time.perf_counter(), 0.0
    request = GenerateRequest(model, prompt, options=Options(num_predict=tokens, temperature=0.0, seed=SEED))
    async with aclosing(client.generate(request)) as records:
        async for record in records:
            if record.response or record.thinking or record.tool_calls:
                first = first or time.perf_counter() - begin
            if record.done:
                first = first or time.perf_counter() - begin
                seconds = record.eval_duration / NANOSECONDS
                return Sample(first, seconds, record.prompt_eval_count, record.cached_tokens, record.eval_count)
    raise ServiceError("an answer ended without telling how many tokens it had")


def _prompt(source: random.Random, plan: Plan) -> str:
    return "Tell a story with these words: " + " ".join(source.choices(WORDS, k=plan.prompt_words))
