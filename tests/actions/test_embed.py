import asyncio
import struct
from types import SimpleNamespace

import pytest

from ollamapy import wire
from ollamapy.actions.embed import (
    GROUP_BYTES,
    GROUP_INPUTS,
    GROUPS_UNDER_WAY,
    MAX_INPUT_BYTES,
    MAX_INPUTS,
    MAX_NUMBERS,
    check_answer,
    check_inputs,
    compute,
    embed_messages,
    grouped,
    leaves_raw,
    pooling_of,
)
from ollamapy.errors import ContextLengthError, InvalidInputError
from ollamapy.gguf import Header
from ollamapy.types import EmbedRequest

pytestmark = pytest.mark.anyio
SPEC = SimpleNamespace(num_ctx=128)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def header(**metadata):
    values = {name.replace("__", "."): value for name, value in metadata.items()}
    return Header(None, (0, 0, 0), 3, values, (), 32, 0, 0)


def numbers(vectors):
    return [struct.unpack("<f", vector)[0] for vector in vectors]


class Worker:
    """Answers in order once the test lets it; each vector is the number that its text spells."""

    def __init__(self):
        self.asked = []
        self.cancelled = []
        self.may_answer = asyncio.Event()
        self.reached = asyncio.Event()
        self.error = None
        self._ids = iter(range(1, 1000))

    def next_id(self):
        return next(self._ids)

    async def embed(self, request):
        self.asked.append(request)
        if len(self.asked) == GROUPS_UNDER_WAY:
            self.reached.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.id)
            raise
        if self.error:
            raise self.error
        vectors = [struct.pack("<f", float(segments[0].text)) for segments in request.inputs]
        return wire.Embeddings(request.id, vectors, len(vectors), 1, 0.1)


def messages(count):
    return embed_messages(EmbedRequest("m", tuple(map(str, range(count)))), SPEC, normalize=True)


async def test_vectors_keep_the_order_of_their_inputs_over_groups():
    worker = Worker()
    worker.may_answer.set()
    computed = await compute(worker, messages(1000))
    assert numbers(computed.vectors) == list(range(1000))
    groups = -(-1000 // GROUP_INPUTS)
    assert (computed.prompt_tokens, computed.truncated_inputs, len(worker.asked)) == (1000, groups, groups)
    assert len({request.id for request in worker.asked}) == groups


async def test_only_a_few_groups_are_under_way_and_a_cancel_ends_them_all():
    worker = Worker()
    task = asyncio.create_task(compute(worker, messages(1000)))
    await worker.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [request.id for request in worker.asked] == sorted(worker.cancelled) == list(range(1, GROUPS_UNDER_WAY + 1))


async def test_an_input_that_is_too_long_is_told_in_ollamas_words():
    worker = Worker()
    worker.may_answer.set()
    worker.error = ContextLengthError(90, 64)
    with pytest.raises(InvalidInputError, match=r"the input length exceeds the context length: .* 90 tokens, 64 are"):
        await compute(worker, messages(GROUP_INPUTS * 2))


def test_messages_hold_texts_that_never_are_control_tokens_and_tokens_as_they_are():
    request = EmbedRequest("m", ("</s>",), ((1, 2),), truncate=False, dimensions=3)
    texts, tokens = embed_messages(request, SPEC, normalize=False)
    assert texts == wire.Embed(0, [[wire.Segment("</s>", special=False)]], 128, False, 3, False)
    assert tokens == wire.Embed(0, [], 128, False, 3, False, tokens=[[1, 2]])


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([1] * (GROUP_INPUTS + 1), [GROUP_INPUTS, 1], id="too many"),
        pytest.param([GROUP_BYTES, 1], [1, 1], id="full at once"),
        pytest.param([GROUP_BYTES // 2] * 4, [2, 2], id="full after two"),
        pytest.param([GROUP_BYTES * 9, 1, 1], [1, 2], id="larger than a group"),
    ],
)
def test_groups_are_bounded_by_count_and_bytes(sizes, lengths):
    assert [len(group) for group in grouped(sizes, lambda size: size)] == lengths


def test_too_much_is_refused_before_any_work():
    check_inputs([MAX_INPUT_BYTES] * 3)
    with pytest.raises(InvalidInputError, match="65537 inputs; send at most 65536"):
        check_inputs([1] * (MAX_INPUTS + 1))
    with pytest.raises(InvalidInputError, match="input 1 is longer than 4194304 bytes"):
        check_inputs([1, MAX_INPUT_BYTES + 1])
    check_answer(MAX_NUMBERS // 4096, 4096)
    with pytest.raises(InvalidInputError, match="send at most 8192 inputs"):
        check_answer(MAX_NUMBERS // 4096 + 1, 4096)


@pytest.mark.parametrize(
    ("metadata", "pooling"),
    [
        ({"general__architecture": "llama"}, 0),
        ({"general__architecture": "bert", "bert__pooling_type": 0}, 0),
        ({"general__architecture": "bert", "bert__pooling_type": 1}, 1),
        ({"general__architecture": "bert", "bert__pooling_type": 4}, 4),
    ],
)
def test_pooling_is_the_headers(metadata, pooling):
    assert pooling_of(header(**metadata)) == pooling


@pytest.mark.parametrize(
    ("metadata", "is_raw"),
    [
        ({"general__architecture": "bert", "tokenizer__ggml__model": "bert"}, False),
        ({"general__architecture": "bert", "tokenizer__ggml__model": "t5"}, True),
        (
            {"general__architecture": "bert", "tokenizer__ggml__model": "bert", "bert__normalize_embeddings": False},
            True,
        ),
        ({"general__architecture": "nomic-bert"}, True),
        ({"general__architecture": "qwen3"}, False),
    ],
)
def test_the_older_route_leaves_some_models_vectors_alone(metadata, is_raw):
    assert leaves_raw(header(**metadata)) is is_raw
