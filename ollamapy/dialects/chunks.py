"""Puts the pieces of an answer together for a client that does not stream."""

from __future__ import annotations

from collections.abc import Sequence

from ollamapy.types import Chunk


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """Return all pieces as one, in order; the last piece says how it ended."""
    last = chunks[-1]
    return Chunk(
        content="".join(chunk.content for chunk in chunks),
        thinking="".join(chunk.thinking for chunk in chunks),
        tool_calls=tuple(call for chunk in chunks for call in chunk.tool_calls),
        logprobs=tuple(logprob for chunk in chunks for logprob in chunk.logprobs),
        final=last.final,
        rendered=last.rendered,
        index=last.index,
    )


def join_answers(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Return the pieces of several answers as one piece each, in the order of their numbers."""
    answers: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        answers.setdefault(chunk.index, []).append(chunk)
    return [join_chunks(answers[index]) for index in sorted(answers)]
