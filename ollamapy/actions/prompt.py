"""Makes the prompt of a chat fit the context: renders, counts, and leaves out the oldest turns where it must."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ollamapy import wire
from ollamapy.actions.history import droppable_groups, without_groups
from ollamapy.actions.pictures import has_pictures
from ollamapy.errors import ContextLengthError
from ollamapy.scheduler.spec import ModelRunner
from ollamapy.types import Message

MOST_TOKEN_BYTES = 512  # no vocabulary has many tokens as long as this
FITTING_SECONDS = 5.0  # of the processor: a template that is slower leaves out more than it must
_THREADS = ThreadPoolExecutor(2, "rendering")  # their own, so that slow templates hold up no other work

Render = Callable[[Sequence[Message]], Sequence[wire.Segment]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the worker gets it: token ids, then text still to tokenise. `text` is all that was rendered.

    `n_counted` is its length where it was counted and is text all the same, as it has to be with pictures.
    """

    segments: tuple[wire.Segment, ...]
    tokens: tuple[int, ...] = ()
    add_special: bool = True
    text: str = ""
    dropped_messages: int = 0
    n_counted: int = 0

    @property
    def n_tokens(self) -> int:
        """Tokens, where all of them were counted."""
        return self.n_counted or len(self.tokens)


async def fit_prompt(
    runner: ModelRunner,
    render: Render,
    messages: Sequence[Message],
    num_ctx: int,
    *,
    truncate: bool,
    bos_token: str = "",
) -> Prompt:
    """Return the prompt of these messages, of fewer where `truncate` allows it and all are too many.

    A prompt fits when one token is left for the answer. Raises ContextLengthError where nothing may be left out.
    """
    segments, seconds = await _rendered(render, messages)
    add_special = not (bos_token and text_of(segments).startswith(bos_token))
    size_bytes = size_of(segments)
    if size_bytes + len(segments) + 2 < num_ctx and not has_pictures(segments):  # a token has at least one byte
        return Prompt(tuple(segments), (), add_special, text_of(segments))
    if not truncate:
        check_size(size_bytes, num_ctx)
        return Prompt(tuple(segments), (), add_special, text_of(segments))
    return await _Fitting(runner, render, messages, num_ctx, add_special, seconds).run(segments)


async def _rendered(render: Render, messages: Sequence[Message]) -> tuple[Sequence[wire.Segment], float]:
    """Return what a template makes of messages, and the processor's seconds that it took."""

    def run() -> tuple[Sequence[wire.Segment], float]:
        started = time.thread_time()
        return render(messages), time.thread_time() - started

    return await asyncio.get_running_loop().run_in_executor(_THREADS, run)


@asynccontextmanager
async def trained_length_told(trained_tokens: int) -> AsyncGenerator[None, None]:
    """Have the error of a prompt that is too long tell where a larger context can't help, whoever raises it."""
    try:
        yield
    except ContextLengthError as exc:
        raise ContextLengthError(exc.prompt_tokens, exc.context_tokens, trained_tokens, is_least=exc.is_least) from exc


async def counted_prompt(runner: ModelRunner, prompt: Prompt) -> Prompt:
    """Return the same prompt with all of its text as tokens, so that their number is known."""
    if not prompt.segments:
        return prompt
    tokens = await runner.tokenize(prompt.segments, prompt.add_special)
    if has_pictures(prompt.segments):
        return replace(prompt, n_counted=len(prompt.tokens) + len(tokens))
    return replace(prompt, segments=(), tokens=(*prompt.tokens, *tokens), add_special=False)


def check_size(size_bytes: int, num_ctx: int) -> None:
    """Raise ContextLengthError for a prompt that is so long that counting its tokens would be a waste."""
    if size_bytes > num_ctx * MOST_TOKEN_BYTES:
        raise ContextLengthError(math.ceil(size_bytes / MOST_TOKEN_BYTES), num_ctx, is_least=True)


def size_of(segments: Sequence[wire.Segment]) -> int:
    """Return the length of a prompt in bytes."""
    return sum(len(segment.text.encode("utf-8", "replace")) for segment in segments)


def text_of(segments: Sequence[wire.Segment]) -> str:
    """Return a prompt as text."""
    numbers = itertools.count()
    return "".join(f"[img-{next(numbers)}]" if segment.image else segment.text for segment in segments)


@dataclass(slots=True)
class _Fitting:
    """Leaves out turns; `seconds` is what rendering took so far."""

    runner: ModelRunner
    render: Render
    messages: Sequence[Message]
    num_ctx: int
    add_special: bool
    seconds: float

    async def run(self, segments: Sequence[wire.Segment]) -> Prompt:
        """Find by bisection how few of the oldest groups must go: each that goes makes the prompt shorter.

        `segments` are the whole prompt.
        """
        whole = await self._measured(segments, 0)
        if isinstance(whole, Prompt):
            return whole
        groups = droppable_groups(self.messages)
        best = await self._attempt(groups) if groups else whole
        if not isinstance(best, Prompt):
            raise best
        too_few, enough = 0, len(groups)
        while enough - too_few > 1 and self.seconds < FITTING_SECONDS:
            middle = (too_few + enough) // 2
            attempt = await self._attempt(groups[:middle])
            if isinstance(attempt, Prompt):
                best, enough = attempt, middle
            else:
                too_few = middle
        return best

    async def _attempt(self, dropped: Sequence[tuple[int, ...]]) -> Prompt | ContextLengthError:
        kept = without_groups(self.messages, dropped)
        segments, seconds = await _rendered(self.render, kept)
        self.seconds += seconds
        return await self._measured(segments, len(self.messages) - len(kept))

    async def _measured(self, segments: Sequence[wire.Segment], n_dropped: int) -> Prompt | ContextLengthError:
        """Return the prompt that these segments are, if it fits."""
        try:
            check_size(size_of(segments), self.num_ctx)
        except ContextLengthError as exc:
            return exc
        tokens = await self.runner.tokenize(segments, self.add_special)
        if len(tokens) >= self.num_ctx:
            return ContextLengthError(len(tokens), self.num_ctx)
        if has_pictures(segments):
            return Prompt(tuple(segments), (), self.add_special, text_of(segments), n_dropped, len(tokens))
        return Prompt((), tuple(tokens), False, text_of(segments), n_dropped)
