"""Reads what an answer is held to beside a JSON schema: a grammar, a regular expression or Lark.

The names are the same on every route. Those of other servers are refused: a constraint is never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ollamapy.dialects.fields import Fields
from ollamapy.errors import InvalidInputError
from ollamapy.types import Grammar

FIELDS: tuple[Literal["grammar", "regex", "lark"], ...] = ("grammar", "regex", "lark")
FOREIGN: Mapping[str, str] = {
    "ebnf": "grammar",
    "guided_choice": "grammar",
    "guided_grammar": "grammar",
    "guided_json": "",
    "guided_regex": "regex",
    "json_schema": "",
    "structural_tag": "grammar",
    "structured_outputs": "",
}
"""Fields of vLLM, SGLang and llama-server with ours for the same; empty where that is the format."""


def read_grammar(fields: Fields, format_field: str) -> Grammar | None:
    """Return what the answer shall be held to, None where nothing is said; `format_field` is the route's for JSON.

    Raises InvalidInputError for two constraints at once, and for other servers' fields.
    """
    _refuse_foreign(fields, format_field)
    given = [name for name in FIELDS if fields.text(name)]
    others = [format_field] if fields.has(format_field) else []
    if len(given) + len(others) > 1 and given:
        names = " and ".join(f'"{name}"' for name in [*others, *given])
        raise InvalidInputError(f"fields {names}: an answer is held to one of them; leave the others out")
    return Grammar(given[0], fields.text(given[0])) if given else None


def refuse_grammars(fields: Fields, format_field: str) -> None:
    """Raise InvalidInputError for constraints that a route does not have."""
    _refuse_foreign(fields, format_field)
    for name in FIELDS:
        if fields.has(name):
            raise InvalidInputError(
                f'field "{name}" is not supported on this route; use "{format_field}", or /v1/chat/completions'
            )


def _refuse_foreign(fields: Fields, format_field: str) -> None:
    strangers = {**FOREIGN, "response_format": "", "format": ""}
    strangers.pop(format_field, None)
    for name, ours in strangers.items():
        if fields.has(name):
            raise InvalidInputError(f'field "{name}" is not supported; use "{ours or format_field}"')
