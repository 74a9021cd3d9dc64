"""Runs one prompt on a loaded model and turns what the worker says into pieces of an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import msgspec

from ollamapy import wire
from ollamapy.actions.pictures import has_pictures
from ollamapy.actions.prompt import Prompt
from ollamapy.actions.sampling import kept_tokens, most_tokens, sampling_of
from ollamapy.parsing.answer import AnswerParser, answer_marks, answer_parser
from ollamapy.parsing.traits import read_traits
from ollamapy.scheduler.spec import Lease, ModelRunner
from ollamapy.types import Chunk, Final, Json, Options, Think, TokenLogprob

TAIL_CHARS = 256  # of the prompt, where an opening tag is looked for
HARMONY_ANSWER = "<|channel|>final<|message|>"
XTML_ANSWER = "<|open|>response<|sep|>"
PROBE = Prompt((wire.Segment(" "),))


@dataclass(frozen=True, slots=True)
class Ask:
    """What an answer shall be like. `started` is a moment on `clock`, in seconds; `grammar` is llguidance's.

    With `must_call` that is the grammar of a call, and Harmony's may think by it. With `one_call` the answer ends with
    its first call.
    """

    options: Options
    template_source: str
    started: float
    clock: Callable[[], float]
    grammar: str | None = None
    grammar_field: str = "format"
    think: Think = None
    tools: tuple[Mapping[str, Json], ...] = ()
    shift: bool = True
    must_call: bool = False
    one_call: bool = False
    logprobs: bool = False
    top_logprobs: int = 0
    prompt_logprobs: bool = False
    return_tokens: bool = False
    logit_bias: Mapping[int, float] | None = None


async def stream_answer(lease: Lease, ask: Ask, prompt: Prompt, num_ctx: int) -> AsyncGenerator[Chunk, None]:
    """Yield the pieces of the answer; the last one, and no other, says how it ended.

    A constrained answer of a model that thinks takes two passes: it thinks freely, then answers by the grammar. They
    count as one.
    """
    parser, thought = _parser(ask, prompt), None
    if ask.grammar is not None and _thinks_first(ask):
        parser = _parser(replace(ask, tools=()), prompt)
        await check_grammar(lease.runner, ask, num_ctx)
        thought = Thought(ask, num_ctx, prompt)
        async with aclosing(thought.stream(lease.runner, parser)) as chunks:
            async for chunk in chunks:
                yield chunk
        if thought.ended is not None:
            rest = parser.close()
            if not rest.is_empty:
                yield Chunk(rest.content, rest.thinking)
            yield Chunk(final=_final(thought.ended, ask, lease, prompt))
            return
        ask, prompt = thought.rest_of(ask), thought.prompt
        parser = _parser(replace(ask, think=None), prompt)
    request = make_request(lease.runner.next_id(), ask, prompt, num_ctx, ask.grammar)
    tally = Tally(ask.clock)
    async with aclosing(lease.runner.generate(request)) as outputs:
        async for output in outputs:
            tally.add(output)
            part, finished = parser.feed(output.text), output.finished
            if finished is not None:
                part = part.then(parser.close())
            if ask.one_call and part.tool_calls:
                part, finished = part.with_first_call(), finished or tally.finished()
            logprobs = tuple(map(_logprob, output.logprobs)) if output.logprobs else ()
            scored = tuple(map(_logprob, output.prompt_logprobs)) if output.prompt_logprobs else ()
            if not part.is_empty or logprobs or scored:
                said = (part.content, part.thinking, part.tool_calls, logprobs)
                yield Chunk(*said, call_deltas=part.call_deltas, prompt_logprobs=scored)
            if finished is not None:
                yield Chunk(final=_final(thought.counted(finished) if thought else finished, ask, lease, prompt))
                return


def make_request(request_id: int, ask: Ask, prompt: Prompt, num_ctx: int, grammar: str | None) -> wire.Generate:
    """Return the message that makes a worker answer a prompt."""
    return wire.Generate(
        id=request_id,
        segments=list(prompt.segments),
        prefix_tokens=list(prompt.tokens),
        add_special=prompt.add_special,
        sampling=sampling_of(ask.options, num_ctx, ask.logit_bias),
        num_ctx=num_ctx,
        max_tokens=most_tokens(ask.options, num_ctx),
        num_keep=kept_tokens(ask.options, num_ctx),
        shift=ask.shift and not has_pictures(prompt.segments),
        stop=list(ask.options.stop or ()),
        logprobs=ask.logprobs,
        top_logprobs=ask.top_logprobs,
        prompt_logprobs=ask.prompt_logprobs,
        return_tokens=ask.return_tokens,
        grammar=grammar,
        grammar_field=ask.grammar_field,
        draft_tokens=-1 if ask.options.draft_num_predict is None else ask.options.draft_num_predict,
        visible=list(answer_marks(ask.template_source)),
    )


async def check_grammar(runner: ModelRunner, ask: Ask, num_ctx: int) -> None:
    """Let the worker compile the grammar, before the model thinks; raises InvalidInputError where it can't."""
    options = replace(ask.options, num_predict=0)
    request = make_request(runner.next_id(), replace(ask, options=options), PROBE, num_ctx, ask.grammar)
    async with aclosing(runner.generate(request)) as outputs:
        async for _output in outputs:
            continue


class Tally:
    """Counts an answer as it comes, for one that is ended here and not by the worker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._first: float | None = None
        self.n_tokens = 0
        self._begun = (0, 0)

    def add(self, output: wire.Output) -> None:
        """Count one step."""
        self._first = self._first or self._clock()
        self.n_tokens += output.n_tokens
        self._begun = output.begun or self._begun

    def finished(self) -> wire.Finished:
        """Return the end of the answer, had it ended now by itself."""
        first = self._first or self._started
        return wire.Finished("stop", *self._begun, self.n_tokens, first - self._started, self._clock() - first)


class Thought:
    """The first pass of a constrained answer; afterwards `prompt` goes on behind what was thought.

    Where it used up the tokens, or wrote a stop string, it was the whole answer, and `ended` says so.
    """

    def __init__(self, ask: Ask, num_ctx: int, prompt: Prompt) -> None:
        self._ask = ask
        self._num_ctx = num_ctx
        self._tally = Tally(ask.clock)
        self.prompt = prompt
        self.ended: wire.Finished | None = None

    def rest_of(self, ask: Ask) -> Ask:
        """Return what may still be said."""
        most = ask.options.num_predict
        if most is None or most < 0:
            return ask
        return replace(ask, options=replace(ask.options, num_predict=max(most - self._tally.n_tokens, 1)))

    def counted(self, finished: wire.Finished) -> wire.Finished:
        """Return the end of the second pass with the counts of both: what was thought is no prompt."""
        first = self._tally.finished()
        return msgspec.structs.replace(
            finished,
            prompt_tokens=first.prompt_tokens,
            cached_tokens=first.cached_tokens,
            completion_tokens=first.completion_tokens + finished.completion_tokens,
        )

    async def stream(self, runner: ModelRunner, parser: AnswerParser) -> AsyncGenerator[Chunk, None]:
        """Yield the thinking and stop where the answer begins."""
        request = make_request(runner.next_id(), self._ask, self.prompt, self._num_ctx, None)
        said = ""
        async with aclosing(runner.generate(request)) as outputs:
            async for output in outputs:
                said += output.text
                self._tally.add(output)
                part = parser.feed(output.text)
                finished = output.finished
                if finished is not None and (finished.reason == "length" or (finished.stop and not part.content)):
                    self.ended = finished
                if part.thinking:
                    yield Chunk(thinking=part.thinking)
                if part.content or part.tool_calls:
                    said = said.removesuffix(part.content)
                    break
        self.prompt = self._continued(said)

    def _continued(self, said: str) -> Prompt:
        """Append what was thought: the tags as control tokens, the rest as plain text, closed if it was not."""
        traits = read_traits(self._ask.template_source)
        segments: tuple[wire.Segment, ...] = ()
        if traits.is_harmony:
            segments = (wire.Segment(said if said.endswith(HARMONY_ANSWER) else HARMONY_ANSWER),)
        elif traits.is_xtml:
            segments = (wire.Segment(said if said.endswith(XTML_ANSWER) else f"<|close|>think<|sep|>{XTML_ANSWER}"),)
        elif traits.thinking is not None and said.strip():
            tags = traits.thinking
            opened, body = (tags.open, said.lstrip()) if said.lstrip().startswith(tags.open) else ("", said)
            body, _, after = body.removeprefix(opened).partition(tags.close)
            segments = (
                wire.Segment(opened),
                wire.Segment(body, special=False),
                wire.Segment(tags.close + (after or "\n\n")),
            )
        text = self.prompt.text + "".join(segment.text for segment in segments)
        return replace(self.prompt, segments=(*self.prompt.segments, *segments), text=text)


def _thinks_first(ask: Ask) -> bool:
    if read_traits(ask.template_source).is_harmony:
        return not ask.must_call
    return bool(ask.think)


def _parser(ask: Ask, prompt: Prompt) -> AnswerParser:
    return answer_parser(
        ask.template_source, prompt_tail=prompt.text[-TAIL_CHARS:], think_enabled=bool(ask.think), tools=ask.tools
    )


def _final(finished: wire.Finished, ask: Ask, lease: Lease, prompt: Prompt) -> Final:
    return Final(
        finish_reason=finished.reason,
        prompt_tokens=finished.prompt_tokens,
        cached_tokens=finished.cached_tokens,
        draft_tokens=finished.draft_tokens,
        accepted_tokens=finished.accepted_tokens,
        completion_tokens=finished.completion_tokens,
        total_seconds=ask.clock() - ask.started,
        load_seconds=lease.load_seconds,
        prompt_seconds=finished.prompt_seconds,
        completion_seconds=finished.completion_seconds,
        context=None if finished.tokens is None else tuple(finished.tokens),
        stop_sequence=finished.stop,
        dropped_messages=prompt.dropped_messages,
        num_ctx=lease.num_ctx,
    )


def _logprob(logprob: wire.Logprob) -> TokenLogprob:
    return TokenLogprob(
        token=logprob.token.decode("utf-8", "replace"),
        logprob=logprob.logprob,
        bytes=tuple(logprob.token),
        top=tuple(TokenLogprob(token.decode("utf-8", "replace"), value, tuple(token)) for token, value in logprob.top),
    )
