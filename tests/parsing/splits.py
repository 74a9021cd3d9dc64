"""Feeding parsers in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from ollamapy.parsing.part import Part, Stage


def parse(parser: Stage, chunks: Iterable[str]) -> Part:
    """Return the whole answer that the chunks add up to."""
    parts = [parser.feed(chunk) for chunk in chunks]
    parts.append(parser.close())
    return Part(
        "".join(part.content for part in parts),
        "".join(part.thinking for part in parts),
        tuple(call for part in parts for call in part.tool_calls),
    )


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
