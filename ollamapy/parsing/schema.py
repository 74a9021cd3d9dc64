"""JSON schemas as the grammar compiler takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ollamapy.types import Json

# What llguidance can hold a text to. Source: llguidance parser/src/json/formats.rs
FORMATS = frozenset(
    ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown")
)
_VALUES = frozenset(("const", "enum", "default", "examples"))  # JSON of any kind, no schemas
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_OTHER_NAMES = frozenset(("additionalProperties", "patternProperties", "propertyNames", "minProperties"))
_WHOLE = frozenset(("const", "enum"))
_OF_OBJECTS = _OTHER_NAMES | _WHOLE | {"properties", "required", "maxProperties"}
_ELSEWHERE = frozenset(("allOf", "anyOf", "oneOf", "$ref", "$dynamicRef"))
_COMBINING = frozenset(("not", "if", "dependentSchemas", "unevaluatedProperties"))

Schema = Mapping[str, Json]


def enforced(schema: Json) -> Json:
    """Return a schema as answers are held to it.

    `format` is left out where it only says what a value means, such as `password` or `int32` (source: JSON Schema
    2020-12, validation, 7.2.1), and `propertyNames` where any name goes. An object with named properties takes no
    others unless the schema speaks of others, as in Ollama (llama.cpp common/json-schema.cpp, build_object): a small
    model would go on to invent some. Schemas that combine several for one value are left open. Raises RecursionError
    for one that is nested too deeply.
    """
    schema = _each(schema, _without_notes)
    return schema if any(map(_combines, _all(schema))) else _each(schema, _closed)


def _each(schema: Json, change: Callable[[Schema], Json]) -> Json:
    """Return a schema in which itself and all that it holds are changed, the innermost first."""
    if isinstance(schema, list):
        return [_each(one, change) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return change(
        {
            key: value
            if key in _VALUES
            else {name: _each(one, change) for name, one in value.items()}
            if key in _NAMED and isinstance(value, Mapping)
            else _each(value, change)
            for key, value in schema.items()
        }
    )


def _all(schema: Json) -> Iterator[Schema]:
    """Yield a schema and all that it holds."""
    if isinstance(schema, list):
        for one in schema:
            yield from _all(one)
    elif isinstance(schema, Mapping):
        yield schema
        for key, value in schema.items():
            if key not in _VALUES:
                yield from _all([*value.values()] if key in _NAMED and isinstance(value, Mapping) else value)


def _without_notes(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if not _is_note(key, value)}


def _is_note(key: str, value: Json) -> bool:
    """Return whether a keyword holds a value to nothing."""
    if key == "format":
        return isinstance(value, str) and value not in FORMATS
    return key == "propertyNames" and value in (True, {}, {"type": "string"})


def _combines(schema: Schema) -> bool:
    """Return whether a value must follow several schemas at once, of which none may close an object."""
    parts, elsewhere = schema.get("allOf"), _ELSEWHERE & schema.keys()
    is_joint = len(elsewhere) > 1 or (isinstance(parts, list) and len(parts) > 1)
    is_extended = bool(elsewhere) and not _OF_OBJECTS.isdisjoint(schema)
    is_listed = "properties" in schema and not (_WHOLE | {"patternProperties"}).isdisjoint(schema)
    return is_joint or is_extended or is_listed or not _COMBINING.isdisjoint(schema)


def _closed(schema: Schema) -> Schema:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return schema
    needs_others = any(not isinstance(name, str) or name not in properties for name in required)
    if not properties or needs_others or not _OTHER_NAMES.isdisjoint(schema):
        return schema
    return {**schema, "additionalProperties": False}
