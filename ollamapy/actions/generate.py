"""Answers a single prompt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from ollamapy.actions.answer import Ask, stream_answer
from ollamapy.actions.chat import check_bias, check_images, effective_think, with_model_messages
from ollamapy.actions.constraint import constraint_of
from ollamapy.actions.load import load_only, prepare_load, unload
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.pictures import place_tagged
from ollamapy.actions.prompt import Prompt, check_size, fit_prompt, size_of, text_of, trained_length_told
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.actions.tokens import check_tokens
from ollamapy.errors import ContextLengthError, InvalidInputError, ModelNotFoundError
from ollamapy.scheduler.spec import Lease
from ollamapy.types import Chunk, GenerateRequest, Message, Think


async def generate(services: Services, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
    """Yield the pieces of the answer; closing the generator ends the work at once.

    An empty prompt loads the model, or unloads it where it shall be kept for no time.
    """
    started = services.clock()
    if not request.model.strip():
        raise ModelNotFoundError("")
    found = await services.models.resolve(services.store, request.model)
    options = merge_options(request.options, found.model.options, request.fallback)
    is_empty = not request.prompt and not request.prompt_tokens
    if is_empty and request.keep_alive_seconds == 0:
        yield await unload(services, found)
        return
    think = check_generate(found, request)
    if is_empty:
        yield await load_only(services, found, request.keep_alive_seconds, options)
        return
    ask = Ask(
        options=options,
        template_source="" if request.raw else request.template or found.template_source,
        started=started,
        clock=services.clock,
        grammar=await constraint_of(services, request),
        grammar_field=request.holding_field,
        think=None if request.raw else think,
        shift=request.shift,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        prompt_logprobs=request.echo and request.logprobs,
        return_tokens=not (request.raw or request.images),
        logit_bias=request.logit_bias,
    )
    spec = await prepare_load(services, found, options)
    told = trained_length_told(found.header.context_length or 0)
    async with told, services.scheduler.acquire(spec, request.keep_alive_seconds) as lease:
        prompt = await _prompt(services, lease, found, request, ask, lease.num_ctx)
        check_bias(request.logit_bias, lease)
        if request.render_only:
            yield Chunk(rendered=prompt.text)
            return
        echo = await _echo(lease, request) if request.echo else ""
        answer = _scored_prompt if ask.prompt_logprobs and options.num_predict == 0 else stream_answer
        async with aclosing(answer(lease, ask, prompt, lease.num_ctx)) as chunks:
            async for chunk in chunks:
                yield _with_echo(chunk, echo) if echo else chunk
                echo = ""


def check_generate(found: ResolvedModel, request: GenerateRequest) -> Think:
    """Return whether the model thinks; raise InvalidInputError for a request that it can't answer."""
    if request.raw and (request.template or request.system or request.context):
        raise InvalidInputError("raw mode does not support template, system, or context")
    think = effective_think(found, request.think, request.model)
    found.require("completion", f'"{request.model}" does not support generate')
    if request.suffix:
        found.require("insert", f"{found.model.name.full} does not support insert")
    if request.images:
        check_images(found, request.model)
    return think


async def _scored_prompt(lease: Lease, ask: Ask, prompt: Prompt, num_ctx: int) -> AsyncGenerator[Chunk, None]:
    """Yield the log probabilities of a prompt and no answer; the worker only tells them together with a token."""
    one = replace(ask, options=replace(ask.options, num_predict=1))
    async with aclosing(stream_answer(lease, one, prompt, num_ctx)) as chunks:
        async for chunk in chunks:
            if chunk.prompt_logprobs:
                yield Chunk(prompt_logprobs=chunk.prompt_logprobs)
            if chunk.final is not None:
                yield Chunk(final=replace(chunk.final, finish_reason="length", completion_tokens=0))


def _with_echo(chunk: Chunk, echo: str) -> Chunk:
    """Put the prompt before an answer; the blank that SentencePiece puts before a text is in none of its tokens."""
    scored = chunk.prompt_logprobs
    if "".join(token.token for token in scored) == f" {echo}":
        first = next(index for index, token in enumerate(scored) if token.token)
        shown = replace(scored[first], token=scored[first].token[1:])
        scored = (*scored[:first], shown, *scored[first + 1 :])
    return replace(chunk, content=echo + chunk.content, prompt_logprobs=scored)


async def _echo(lease: Lease, request: GenerateRequest) -> str:
    return request.prompt or await lease.runner.detokenize(request.prompt_tokens)


async def _prompt(
    services: Services, lease: Lease, found: ResolvedModel, request: GenerateRequest, ask: Ask, num_ctx: int
) -> Prompt:
    if request.prompt_tokens:
        check_tokens(request.prompt_tokens, lease.ready.n_vocab, "prompt")
        return Prompt((), request.prompt_tokens, add_special=False)
    if request.raw:
        segments = place_tagged(request.prompt, request.images)
        check_size(size_of(segments), num_ctx)
        return Prompt(segments, text=text_of(segments))
    template = await services.templates.get(ask.template_source, lease.ready)
    if request.suffix:
        infill = await asyncio.to_thread(template.infill, request.prompt, request.suffix, ask.think)
        check_size(size_of(infill), num_ctx)
        return Prompt(infill, text=text_of(infill))
    render = partial(template.chat, think=ask.think)
    turn = Message("user", request.prompt, images=request.images)
    given = (Message("system", request.system), turn) if request.system else (turn,)
    if not request.context:
        return await fit_prompt(
            lease.runner,
            render,
            with_model_messages(found, given),
            num_ctx,
            truncate=request.truncate,
            bos_token=lease.ready.bos_token,
        )
    check_tokens(request.context, lease.ready.n_vocab, "context")
    room = num_ctx - len(request.context)
    if room <= 0:
        raise ContextLengthError(len(request.context), num_ctx)
    prompt = await fit_prompt(lease.runner, render, given, room, truncate=False)
    return replace(prompt, tokens=request.context, add_special=False)
