"""JSON schemas as the grammar compiler takes them."""

from __future__ import annotations

from collections.abc import Mapping

from ollamapy.types import Json

# What llguidance can hold a text to. Source: llguidance parser/src/json/formats.rs
FORMATS = frozenset(
    ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown")
)
_VALUES = frozenset(("const", "enum", "default", "examples"))  # JSON of any kind, no schemas
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))


def without_notes(schema: Json) -> Json:
    """Return a schema without each `format` that only says what a value means, such as `password` or `int32`.

    Raises RecursionError for one that is nested too deeply. Source: JSON Schema 2020-12, validation, 7.2.1
    """
    if isinstance(schema, list):
        return [without_notes(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: _named(value) if key in _NAMED else value if key in _VALUES else without_notes(value)
        for key, value in schema.items()
        if key != "format" or not isinstance(value, str) or value in FORMATS
    }


def _named(schemas: Json) -> Json:
    if not isinstance(schemas, Mapping):
        return schemas
    return {name: without_notes(schema) for name, schema in schemas.items()}
