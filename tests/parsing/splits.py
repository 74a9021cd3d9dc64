"""Feeding parsers in chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import pairwise

from ollamapy.parsing.calls import read_values
from ollamapy.parsing.part import Part, Stage


def parse(parser: Stage, chunks: Iterable[str]) -> Part:
    """Return the whole answer that the chunks add up to; the pieces of a call have to add up to its arguments."""
    parts = [parser.feed(chunk) for chunk in chunks]
    parts.append(parser.close())
    written = pieces_of(parts)
    for call in (call for part in parts for call in part.tool_calls):
        if call.index in written:
            assert written.pop(call.index) == (call.id, call.name, dict(call.arguments))
    return Part(
        "".join(part.content for part in parts),
        "".join(part.thinking for part in parts),
        tuple(call for part in parts for call in part.tool_calls),
    )


def pieces_of(parts: Iterable[Part]) -> dict[int, tuple[str, str, object]]:
    """Return id, name and arguments of the calls that came in pieces; those of one that was cut are their text."""
    texts: dict[int, tuple[str, str, str]] = {}
    for delta in (delta for part in parts for delta in part.call_deltas):
        call_id, name, before = texts.get(delta.index, (delta.id, delta.name, ""))
        assert (call_id, name) == (delta.id, delta.name)
        texts[delta.index] = (call_id, name, before + delta.arguments)
    return {index: (call_id, name, _decoded(text)) for index, (call_id, name, text) in texts.items()}


def _decoded(text: str) -> object:
    try:
        json.loads(text)
    except ValueError:
        return text
    values = read_values(text)  # as JSON, but without lone surrogates
    return values and values[0]


def cut(text: str, points: Iterable[int]) -> list[str]:
    """Cut a text at the given points, in any order."""
    at = [0, *sorted(point % (len(text) + 1) for point in points), len(text)]
    return [text[a:b] for a, b in pairwise(at)]


def same_however_cut(make: Callable[[], Stage], text: str, points: Iterable[int]) -> Part:
    """Parse a text whole, by characters and cut at points; return the answer, which has to be one."""
    whole = parse(make(), [text])
    assert parse(make(), text) == whole
    assert parse(make(), cut(text, points)) == whole
    return whole
