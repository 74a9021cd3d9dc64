"""Turns a request's `format`, or the tools of which one must be called, into the worker's grammar.

Source: llguidance's grammar in JSON form, `{"grammars": [{"json_schema": ...}]}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ollamapy.errors import InvalidInputError
from ollamapy.parsing.answer import answer_marks
from ollamapy.parsing.call_grammar import required_call
from ollamapy.scheduler.spec import ModelRunner
from ollamapy.types import Json
from ollamapy.wire import Segment

MAX_SCHEMA_BYTES = 1 << 20
ANY_OBJECT = {"type": "object"}
# A model that likes blanks could otherwise fill its whole answer with them.
GUIDANCE = {"whitespace_pattern": r"[ \n\t]{1,64}"}
CALL_GUIDANCE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}  # as in most training data


def grammar_of(output_format: Json) -> str | None:
    """Return the grammar of a format (None, "json" or a JSON schema); None where anything may be said.

    The worker compiles it and raises InvalidInputError for a schema that it can't hold an answer to.
    """
    if output_format is None:
        return None
    schema = ANY_OBJECT if output_format == "json" else output_format
    try:
        return _encoded({"json_schema": {**schema, "x-guidance": GUIDANCE}}, "format: the JSON schema is")
    except RecursionError as exc:
        raise InvalidInputError("format: the JSON schema is nested too deeply") from exc


async def grammar_of_call(
    runner: ModelRunner, template_source: str, tools: Sequence[Mapping[str, Json]], *, thinks: bool
) -> str:
    """Return the grammar of one call of one of the tools, for the vocabulary of the loaded model.

    Where thinking is part of the syntax (Harmony), the grammar lets a model think first that `thinks`.
    """
    found = {mark: await runner.tokenize([Segment(mark)], False) for mark in answer_marks(template_source)}
    tokens = {mark: ids[0] for mark, ids in found.items() if len(ids) == 1}
    try:
        grammar = required_call(template_source, tools, tokens, CALL_GUIDANCE, thinks=thinks)
    except RecursionError as exc:
        raise InvalidInputError("tools: a JSON schema is nested too deeply") from exc
    return _encoded({"lark_grammar": grammar}, "tools: their JSON schemas are")


def _encoded(grammar: Mapping[str, Json], what: str) -> str:
    encoded = msgspec.json.encode({"grammars": [grammar]})
    if len(encoded) > MAX_SCHEMA_BYTES:
        raise InvalidInputError(f"{what} larger than {MAX_SCHEMA_BYTES} bytes")
    return encoded.decode()
