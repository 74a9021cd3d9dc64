"""Turns a request's `format`, or the tools of which one must be called, into the worker's grammar.

Source: llguidance's grammar in JSON form, `{"grammars": [{"json_schema": ...}]}`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError
from ollamapy.parsing.answer import answer_marks
from ollamapy.parsing.call_grammar import required_call
from ollamapy.parsing.gbnf import MOST_CHARS
from ollamapy.parsing.gbnf_to_lark import gbnf_to_lark
from ollamapy.parsing.schema import enforced
from ollamapy.scheduler.spec import ModelRunner
from ollamapy.types import AnswerRequest, Grammar, Json
from ollamapy.wire import Segment

MAX_SCHEMA_BYTES = 1 << 20
MOST_PLAIN_BYTES = 32 << 10
COSTLY = (b'"pattern"', b'"patternProperties"', b'"multipleOf"', b'"allOf"')  # intersections of automata, long division
LENGTHS, CHOICES = (b'"minLength"', b'"maxLength"'), (b'"anyOf"', b'"oneOf"')  # together: many lengths of one text
ANY_OBJECT = {"type": "object"}
# A model that likes blanks could otherwise fill its whole answer with them: one, or new lines and what indents them.
# After llama.cpp common/json-schema-to-grammar.cpp, SPACE_RULE, which stops at 20 columns.
GUIDANCE = {"whitespace_pattern": r" |\n{1,2}[ \t]{0,32}"}
CALL_GUIDANCE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}  # as in most training data

_LINE_OR_SLASH = re.compile(r"\\.|[/\n\r]", re.S)
_LONE_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")


async def constraint_of(services: Services, request: AnswerRequest) -> str | None:
    """Return the worker's grammar of a request, None where anything may be said.

    Raises InvalidInputError for one that is malformed or costs too much. The worker compiles it and raises
    InvalidInputError for one that it can't hold an answer to.
    """
    if request.grammar is not None:
        found = await asyncio.to_thread(grammar_from, request.grammar)
        await _check_cost(services, found, request.grammar.field)
        return found
    if request.format is None:
        return None
    found = await asyncio.to_thread(grammar_of, request.format, request.format_field)
    if is_suspicious(request.format):
        await _check_cost(services, found, request.format_field)
    return found


async def _check_cost(services: Services, grammar: str, field: str) -> None:
    if not await services.grammar_check.is_cheap(grammar):
        raise InvalidInputError(
            f"{field}: it costs too much to compile; simplify its patterns, numbers and repetitions"
        )


def is_suspicious(schemas: Json) -> bool:
    """Return whether JSON schemas may cost much: large ones, and those that have certain keywords anywhere."""
    try:
        text = msgspec.json.encode(schemas)
    except RecursionError:
        return True
    has_lengths, has_choices, is_costly = (any(word in text for word in some) for some in (LENGTHS, CHOICES, COSTLY))
    return len(text) > MOST_PLAIN_BYTES or is_costly or (has_lengths and has_choices)


def grammar_from(grammar: Grammar) -> str:
    """Return the grammar of a text in GBNF, Lark or as a regular expression; raises InvalidInputError."""
    if len(grammar.text) > MOST_CHARS:
        raise InvalidInputError(
            f"{grammar.field}: it has {len(grammar.text)} characters; at most {MOST_CHARS} are allowed"
        )
    match grammar.field:
        case "grammar":
            lark = gbnf_to_lark(grammar.text)
        case "regex":
            lark = f"start: /{_LINE_OR_SLASH.sub(_escaped, grammar.text)}/\n"
            if not grammar.text or _LONE_BACKSLASH.search(grammar.text):
                raise InvalidInputError('regex: it ends in a lone "\\"; write "\\\\" for the character')
        case "lark":
            lark = grammar.text
    return _encoded({"lark_grammar": lark}, f"{grammar.field}: it is")


def _escaped(found: re.Match[str]) -> str:
    return {"/": "\\/", "\n": "\\n", "\r": "\\r"}.get(found[0], found[0])


def grammar_of(output_format: Json, field: str = "format") -> str:
    """Return the grammar of a format, "json" or a JSON schema; raises InvalidInputError that names the field."""
    schema = ANY_OBJECT if output_format == "json" else output_format
    _refuse_huge(schema, f"{field}: the JSON schema is")
    try:
        schema = enforced(schema)
        return _encoded({"json_schema": {**schema, "x-guidance": GUIDANCE}}, f"{field}: the JSON schema is")
    except RecursionError as exc:
        raise InvalidInputError(f"{field}: the JSON schema is nested too deeply") from exc


async def grammar_of_call(
    services: Services, runner: ModelRunner, template_source: str, tools: Sequence[Mapping[str, Json]], *, thinks: bool
) -> str:
    """Return the grammar of one call of one of the tools, for the vocabulary of the loaded model.

    Where thinking is part of the syntax (Harmony), the grammar lets a model think first that `thinks`.
    """
    _refuse_huge(tools, "tools: their JSON schemas are")
    found = {mark: await runner.tokenize([Segment(mark)], False) for mark in answer_marks(template_source)}
    tokens = {mark: ids[0] for mark, ids in found.items() if len(ids) == 1}
    write = partial(required_call, template_source, tools, tokens, CALL_GUIDANCE, thinks=thinks)
    try:
        grammar = await asyncio.to_thread(write)
    except RecursionError as exc:
        raise InvalidInputError("tools: a JSON schema is nested too deeply") from exc
    encoded = _encoded({"lark_grammar": grammar}, "tools: their JSON schemas are")
    if is_suspicious(tools):
        await _check_cost(services, encoded, "tools")
    return encoded


def _encoded(grammar: Mapping[str, Json], what: str) -> str:
    return _refuse_huge({"grammars": [grammar]}, what).decode()


def _refuse_huge(schemas: Json, what: str) -> bytes:
    """Return schemas as JSON; raises InvalidInputError for what is larger than allowed."""
    try:
        encoded = msgspec.json.encode(schemas)
    except RecursionError as exc:
        raise InvalidInputError(f"{what} nested too deeply") from exc
    if len(encoded) > MAX_SCHEMA_BYTES:
        raise InvalidInputError(f"{what} larger than {MAX_SCHEMA_BYTES} bytes")
    return encoded
