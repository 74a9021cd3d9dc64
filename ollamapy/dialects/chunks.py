"""Puts the pieces of an answer together for a client that does not stream."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import msgspec

from ollamapy.types import CallDelta, Chunk


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
        prompt_logprobs=chunks[0].prompt_logprobs,
    )


def join_answers(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Return the pieces of several answers as one piece each, in the order of their numbers."""
    answers: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        answers.setdefault(chunk.index, []).append(chunk)
    return [join_chunks(answers[index]) for index in sorted(answers)]


def split_calls(chunk: Chunk, begun: AbstractSet[int]) -> tuple[list[CallDelta], list[CallDelta]]:
    """Return a piece for each call that the chunk adds to: those with the indexes `begun`, then new ones.

    The text of the chunk stands between the two. A call that came whole is one piece.
    """
    pieces: dict[int, CallDelta] = {}
    for delta in chunk.call_deltas:
        before = pieces.get(delta.index)
        pieces[delta.index] = replace(delta, arguments=before.arguments + delta.arguments) if before else delta
    for call in chunk.tool_calls:
        if call.index not in pieces and call.index not in begun:
            arguments = msgspec.json.encode(call.arguments).decode()
            pieces[call.index] = CallDelta(call.index, call.id, call.name, arguments)
    going_on = [delta for index, delta in pieces.items() if index in begun]
    return going_on, [pieces[index] for index in sorted(pieces) if index not in begun]
