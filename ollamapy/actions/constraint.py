"""Turns a request's `format` into the grammar that the worker holds the answer to.

Source: llguidance's grammar in JSON form, `{"grammars": [{"json_schema": ...}]}`.
"""

from __future__ import annotations

import msgspec

from ollamapy.errors import InvalidInputError
from ollamapy.types import Json

MAX_SCHEMA_BYTES = 1 << 20
ANY_OBJECT = {"type": "object"}
# A model that likes blanks could otherwise fill its whole answer with them.
GUIDANCE = {"whitespace_pattern": r"[ \n\t]{1,64}"}


def grammar_of(output_format: Json) -> str | None:
    """Return the grammar of a format (None, "json" or a JSON schema); None where anything may be said.

    The worker compiles it and raises InvalidInputError for a schema that it can't hold an answer to.
    """
    if output_format is None:
        return None
    schema = ANY_OBJECT if output_format == "json" else output_format
    try:
        grammar = msgspec.json.encode({"grammars": [{"json_schema": {**schema, "x-guidance": GUIDANCE}}]})
    except RecursionError as exc:
        raise InvalidInputError("format: the JSON schema is nested too deeply") from exc
    if len(grammar) > MAX_SCHEMA_BYTES:
        raise InvalidInputError(f"format: the JSON schema is larger than {MAX_SCHEMA_BYTES} bytes")
    return grammar.decode()
