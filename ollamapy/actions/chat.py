"""Answers a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from ollamapy.actions.answer import Ask, check_grammar, stream_answer
from ollamapy.actions.constraint import constraint_of, grammar_of_call
from ollamapy.actions.load import load_only, prepare_load, unload
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.prompt import Prompt, counted_prompt, fit_prompt, trained_length_told
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.errors import ContextLengthError, InvalidInputError, UnsupportedError
from ollamapy.scheduler.spec import Lease
from ollamapy.types import ChatRequest, Chunk, Message, Think


async def chat(services: Services, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    """Yield the pieces of the answer; closing the generator ends the work at once.

    A chat without messages loads the model, or unloads it where it shall be kept for no time.
    """
    started = services.clock()
    if not request.model.strip():
        raise InvalidInputError("model is required")
    found = await services.models.resolve(services.store, request.model)
    options = merge_options(request.options, found.model.options, request.fallback)
    if not request.messages:
        if request.keep_alive_seconds == 0:
            yield await unload(services, found)
        else:
            yield await load_only(services, found, request.keep_alive_seconds, options)
        return
    check_chat(found, request)
    ask = Ask(
        options=options,
        template_source=found.template_for(tools=bool(request.tools)),
        started=started,
        clock=services.clock,
        grammar=await constraint_of(services, request),
        grammar_field=request.holding_field,
        think=effective_think(found, request.think, request.model),
        tools=request.tools,
        shift=request.shift,
        must_call=request.must_call,
        one_call=request.one_call,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        logit_bias=request.logit_bias,
    )
    spec = await prepare_load(services, found, options)
    told = trained_length_told(found.header.context_length or 0)
    async with told, services.scheduler.acquire(spec, request.keep_alive_seconds) as lease:
        prompt = await _prompt(services, lease, found, request, ask, lease.num_ctx)
        check_bias(request.logit_bias, lease)
        if request.count_prompt:
            prompt = await counted_prompt(lease.runner, prompt)
        if request.render_only:
            yield Chunk(rendered=prompt.text, prompt_tokens=prompt.n_tokens if request.count_prompt else None)
            return
        if request.must_call:
            grammar = await grammar_of_call(
                services, lease.runner, ask.template_source, ask.tools, thinks=bool(ask.think)
            )
            ask = replace(ask, grammar=grammar, grammar_field="tools")
        if request.count_prompt:
            yield await _counted(lease, ask, prompt, lease.num_ctx)
        async with aclosing(stream_answer(lease, ask, prompt, lease.num_ctx)) as chunks:
            async for chunk in chunks:
                yield chunk


def check_chat(found: ResolvedModel, request: ChatRequest) -> None:
    """Raise UnsupportedError for a chat that the model can't have, InvalidInputError for one that nobody can."""
    if request.must_call and request.grammar is not None:
        raise InvalidInputError(f'fields "tool_choice" and "{request.grammar.field}": an answer is held to one of them')
    found.require("completion", f'"{request.model}" does not support chat')
    if request.tools:
        found.require("tools", f"{found.model.name.full} does not support tools")
    if any(message.images for message in request.messages):
        check_images(found, request.model)


def check_bias(logit_bias: Mapping[int, float] | None, lease: Lease) -> None:
    """Raise InvalidInputError for a token that the model does not have."""
    for token in logit_bias or ():
        if token >= lease.ready.n_vocab:
            raise InvalidInputError(
                f'field "logit_bias" names token {token}, but the vocabulary has {lease.ready.n_vocab} tokens'
            )


def check_images(found: ResolvedModel, asked: str) -> None:
    """Raise UnsupportedError for a model that reads none."""
    found.require("vision", f'"{asked}" does not support images: it is a text model; send text only')


def effective_think(found: ResolvedModel, think: Think, asked: str) -> Think:
    """Return whether the model thinks before it answers: one that can does so unless told otherwise."""
    if "thinking" in found.capabilities:
        return True if think is None else think
    if think:
        raise UnsupportedError(f'"{asked}" does not support thinking')
    return None


def with_model_messages(found: ResolvedModel, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the messages behind the model's own: its system prompt, unless they begin with one, and its examples."""
    system: tuple[Message, ...] = ()
    if found.model.system and not (messages and messages[0].role == "system"):
        system = (Message("system", found.model.system),)
    return (*system, *found.model.messages, *messages)


async def _counted(lease: Lease, ask: Ask, prompt: Prompt, num_ctx: int) -> Chunk:
    """Tell the length of the prompt, behind all that may be wrong with a request: an answer begins with it."""
    if prompt.n_tokens >= num_ctx:
        raise ContextLengthError(prompt.n_tokens, num_ctx)
    if ask.grammar is not None:
        await check_grammar(lease.runner, ask, num_ctx)
    return Chunk(prompt_tokens=prompt.n_tokens)


async def _prompt(
    services: Services, lease: Lease, found: ResolvedModel, request: ChatRequest, ask: Ask, num_ctx: int
) -> Prompt:
    template = await services.templates.get(ask.template_source, lease.ready)
    render = partial(template.chat, tools=request.tools, think=ask.think, extra=request.template_arguments)
    messages = with_model_messages(found, request.messages)
    bos_token = lease.ready.bos_token
    return await fit_prompt(lease.runner, render, messages, num_ctx, truncate=request.truncate, bos_token=bos_token)
