"""The tool stage: which tool-call syntaxes an answer may hold, told by the chat template's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random

from ollamapy.parsing.blocks import BlockParser, Syntax
from ollamapy.parsing.calls import Found, read_calls, read_values
from ollamapy.types import Json


def tool_parser(template_source: str, tools: Sequence[Mapping[str, Json]], rng: Random) -> BlockParser:
    """Build the parser of the model family that the template belongs to."""
    return BlockParser(find_syntaxes(template_source, declared_names(tools)), rng)


def declared_names(tools: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """Return the function names of a request's tools, the longest first."""
    functions = [tool.get("function") for tool in tools]
    names = {f["name"] for f in functions if isinstance(f, Mapping) and isinstance(f.get("name"), str)}
    return tuple(sorted(names - {""}, key=lambda name: (-len(name), name)))


def find_syntaxes(template_source: str, declared: Sequence[str]) -> list[Syntax]:
    """Return the syntaxes to look for; without a known tag, JSON with which an answer begins."""
    if "<tool_call>" in template_source:
        return [Syntax("<tool_call>", "</tool_call>", partial(read_calls, declared=declared), strings=True)]
    return generic_syntaxes("{", declared)


def generic_syntaxes(tag: str, declared: Sequence[str]) -> list[Syntax]:
    """Return the syntax of an inferred tag: the first balanced JSON after it, bare JSON where an answer begins."""
    read = partial(_read_generic, declared=declared)
    bare = [Syntax(bracket, "", partial(read_calls, declared=declared, strict=True), bare=True) for bracket in "{["]
    if tag in ("{", "[", ""):
        return bare
    return [Syntax(tag, "```" if tag.find("```") >= 0 else "", read, strings=True), *bare]


def _read_generic(body: str, declared: Sequence[str]) -> list[Found] | None:
    """Read `name {arguments}` or any JSON shape of a call, with chatter before the JSON."""
    start = min((at for at in (body.find("{"), body.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    named = next((name for name in declared if name in body[:start]), None)
    found = read_calls(body[start:], declared, strict=named is not None)
    if found or named is None:
        return found
    values = read_values(body[start:]) or []
    return [Found(named, values[0])] if len(values) == 1 and isinstance(values[0], dict) else None
