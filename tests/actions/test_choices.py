import asyncio

import pytest

from ollamapy.actions.choices import merge_answers, seeded
from ollamapy.errors import LoadError
from ollamapy.types import Chunk, Options


class Answer:
    """An answer of some pieces, after which it waits, fails or ends; `is_closed` tells that it was cleaned up."""

    def __init__(self, *texts, error=None, waits=False):
        self.texts, self.error, self.waits = texts, error, waits
        self.is_closed = False

    async def pieces(self):
        try:
            for text in self.texts:
                yield Chunk(text)
            if self.waits:
                await asyncio.Event().wait()
            if self.error:
                raise self.error
        finally:
            self.is_closed = True


def merged(*answers):
    async def run():
        return [chunk async for chunk in merge_answers([answer.pieces() for answer in answers])]

    return asyncio.run(run())


def test_pieces_of_all_answers_come_with_their_number_and_in_their_order():
    pieces = merged(Answer("a", "b"), Answer("c"), Answer())
    assert sorted((chunk.index, chunk.content) for chunk in pieces) == [(0, "a"), (0, "b"), (1, "c")]
    assert [chunk.content for chunk in pieces if chunk.index == 0] == ["a", "b"]


def test_more_pieces_than_may_wait_all_come():
    pieces = merged(*[Answer(*map(str, range(100))) for _ in range(3)])
    assert [[c.content for c in pieces if c.index == i] for i in range(3)] == [[str(n) for n in range(100)]] * 3


def test_a_failure_of_one_ends_all():
    waiting = Answer("a", waits=True)
    with pytest.raises(LoadError, match="broken"):
        merged(waiting, Answer("b", error=LoadError("broken")))
    assert waiting.is_closed


def test_closing_ends_all():
    answers = [Answer("a", waits=True), Answer("b", waits=True)]

    async def run():
        pieces = merge_answers([answer.pieces() for answer in answers])
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(run())
    assert [answer.is_closed for answer in answers] == [True, True]


def test_a_given_seed_makes_answers_differ_and_no_seed_stays_none():
    assert [seeded(Options(seed=7), number).seed for number in range(3)] == [7, 8, 9]
    assert seeded(Options(), 2).seed is None
    assert seeded(Options(seed=-1), 2).seed == -1
