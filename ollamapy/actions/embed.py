"""Turns texts into vectors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ollamapy import wire
from ollamapy.actions.load import load_only, prepare_load, unload
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.errors import ContextLengthError, InvalidInputError, ModelNotFoundError, UnsupportedError
from ollamapy.gguf import Header
from ollamapy.scheduler.spec import LoadSpec, ModelRunner
from ollamapy.types import Embedded, EmbedRequest, Options

MAX_INPUTS = 65_536
MAX_INPUT_BYTES = 4 << 20
MAX_NUMBERS = 1 << 25  # of an answer: about 450 MB of JSON
GROUP_INPUTS = 64
GROUP_BYTES = 32 << 10
GROUPS_UNDER_WAY = 3
TOKEN_BYTES = 4  # what a token counts for, beside text
POOLING_NONE, POOLING_RANK = 0, 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Computed:
    """What a worker made of all inputs, in their order."""

    vectors: tuple[bytes, ...]
    prompt_tokens: int
    truncated_inputs: int


async def embed(services: Services, request: EmbedRequest) -> Embedded:
    """Return the vectors of all inputs; cancelling the call ends the work. Without inputs the model is loaded."""
    started = services.clock()
    check_inputs([*map(text_bytes, request.inputs), *(len(ids) * TOKEN_BYTES for ids in request.token_inputs)])
    found = await find_model(services, request.model)
    pooling = pooling_of(found.header)
    if pooling == POOLING_RANK:
        raise UnsupportedError(f'"{request.model}" is a reranker and makes no embeddings; ask it at /api/rerank')
    options = merge_options(request.options, found.model.options, Options())
    if not request.inputs and not request.token_inputs:
        if request.keep_alive_seconds == 0:
            await unload(services, found)
        else:
            await load_only(services, found, request.keep_alive_seconds, options)
        return Embedded(total_seconds=services.clock() - started)
    spec = await prepare_load(services, found, options)
    async with services.scheduler.acquire(spec, request.keep_alive_seconds) as lease:
        count = len(request.inputs) + len(request.token_inputs)
        check_answer(count, min(request.dimensions or lease.ready.n_embd, lease.ready.n_embd))
        normalize = not (request.as_trained and leaves_raw(found.header))
        messages = embed_messages(request, spec, normalize=normalize)
        computed = await compute(lease.runner, messages)
    return Embedded(
        computed.vectors,
        computed.prompt_tokens,
        computed.truncated_inputs,
        services.clock() - started,
        lease.load_seconds,
    )


async def find_model(services: Services, asked: str) -> ResolvedModel:
    """Return a model that pools its outputs; raises ModelNotFoundError in Ollama's words, UnsupportedError."""
    if not asked.strip():
        raise ModelNotFoundError("")
    try:
        found = await services.models.resolve(services.store, asked)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(exc.name, f'model "{exc.name}" not found, try pulling it first') from exc
    if pooling_of(found.header) == POOLING_NONE:
        raise UnsupportedError(
            f'this model does not support embeddings: "{asked}" writes text, and its file names no way to pool a text '
            "into one vector (pooling_type); use a model made for it, such as all-minilm or nomic-embed-text"
        )
    return found


def pooling_of(header: Header) -> int:
    """Return llama.cpp's number of how a model pools its outputs, 0 for one that does not."""
    return (header.integer(f"{header.architecture}.pooling_type") or POOLING_NONE) if header.has_pooling else 0


def leaves_raw(header: Header) -> bool:
    """Return whether Ollama's older route leaves the length of this model's vectors as it is."""
    arch = header.architecture
    if arch != "bert":
        return arch in ("nomic-bert", "nomic-bert-moe")
    is_wordpiece = header.text("tokenizer.ggml.model") == "bert"
    return not is_wordpiece or header.metadata.get("bert.normalize_embeddings") is False


def check_inputs(sizes_bytes: Sequence[int]) -> None:
    """Raise InvalidInputError for too many inputs or one that is too long."""
    if len(sizes_bytes) > MAX_INPUTS:
        raise InvalidInputError(f"there are {len(sizes_bytes)} inputs; send at most {MAX_INPUTS} at a time")
    for index, size_bytes in enumerate(sizes_bytes):
        if size_bytes > MAX_INPUT_BYTES:
            raise InvalidInputError(f"input {index} is longer than {MAX_INPUT_BYTES} bytes; send it in parts")


def check_answer(inputs: int, numbers: int) -> None:
    """Raise InvalidInputError for vectors that would make too long an answer; `numbers` are those of one."""
    if inputs * numbers > MAX_NUMBERS:
        raise InvalidInputError(
            f"{inputs} inputs of {numbers} numbers each make too long an answer; "
            f"send at most {MAX_NUMBERS // numbers} inputs at a time"
        )


def embed_messages(request: EmbedRequest, spec: LoadSpec, *, normalize: bool) -> Iterator[wire.Embed]:
    """Yield the messages that embed all inputs, in order; text never becomes a control token."""
    common = wire.Embed(0, [], spec.num_ctx, request.truncate, request.dimensions, normalize)
    for texts in grouped(request.inputs, text_bytes):
        inputs = [[wire.Segment(text, special=False)] for text in texts]
        yield msgspec.structs.replace(common, inputs=inputs)
    for tokens in grouped(request.token_inputs, lambda ids: len(ids) * TOKEN_BYTES):
        yield msgspec.structs.replace(common, tokens=[list(ids) for ids in tokens])


def grouped(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in order, in groups that a worker computes within a few steps."""
    group: list[T] = []
    room_bytes = GROUP_BYTES
    for item in items:
        size_bytes = size_of(item)
        if group and (len(group) == GROUP_INPUTS or size_bytes > room_bytes):
            yield group
            group, room_bytes = [], GROUP_BYTES
        group.append(item)
        room_bytes -= size_bytes
    if group:
        yield group


async def compute(runner: ModelRunner, messages: Iterable[wire.Embed]) -> Computed:
    """Return what the worker makes of all messages.

    A few are under way at a time: the worker never waits, and other clients' inputs come in between.
    """
    answers: list[wire.Embeddings] = []
    under_way: deque[asyncio.Task[wire.Embeddings]] = deque()
    try:
        for message in messages:
            if len(under_way) == GROUPS_UNDER_WAY:
                answers.append(await under_way.popleft())
            numbered = msgspec.structs.replace(message, id=runner.next_id())
            under_way.append(asyncio.create_task(runner.embed(numbered)))
        while under_way:
            answers.append(await under_way.popleft())
    except ContextLengthError as exc:
        raise InvalidInputError(
            f"the input length exceeds the context length: an input has {exc.prompt_tokens} tokens, "
            f"{exc.context_tokens} are possible; shorten it, or let it be cut with truncate"
        ) from exc
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return Computed(
        tuple(vector for answer in answers for vector in answer.vectors),
        sum(answer.prompt_tokens for answer in answers),
        sum(answer.truncated for answer in answers),
    )


def text_bytes(text: str) -> int:
    """Return the size of a text in UTF-8."""
    return len(text.encode("utf-8", "replace"))
