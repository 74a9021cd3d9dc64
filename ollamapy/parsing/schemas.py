"""What a request's tools declare, as far as parsing needs it: names, and the types of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ollamapy.parsing.calls import read_values
from ollamapy.types import Json

Declared = Mapping[str, Mapping[str, tuple[str, ...]]]  # function -> parameter -> JSON types; the longest name first


def read_declared(tools: Sequence[Mapping[str, Json]]) -> Declared:
    """Return the functions of a request's tools; what is malformed is passed over."""
    found: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for tool in tools:
        function = _object(tool.get("function"))
        name = function.get("name")
        if isinstance(name, str) and name:
            properties = _object(_object(function.get("parameters")).get("properties"))
            found[name] = {key: _types(_object(value)) for key, value in properties.items()}
    return {name: found[name] for name in sorted(found, key=lambda name: (-len(name), name))}


def _types(schema: Mapping[str, Json]) -> tuple[str, ...]:
    given = schema.get("type")
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list):
        return tuple(item for item in given if isinstance(item, str))
    options = schema.get("anyOf") or schema.get("oneOf")
    return tuple(t for option in options for t in _types(_object(option))) if isinstance(options, list) else ()


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def convert_text(text: str, types: Sequence[str]) -> Json:
    """Return what a parameter written as bare text stands for, given its declared types.

    Types are tried from null to object; text that is none of them stays text. Without types, JSON that is not a
    string is taken for what it is.
    """
    if "string" in types and len(types) == 1:
        return text
    values = read_values(text.strip()) if text.strip() else None
    if values is None or len(values) != 1:
        return _python_word(text.strip(), types)
    value = values[0]
    if not types:
        return text if isinstance(value, str) else value
    if isinstance(value, float) and value.is_integer() and "integer" in types and "number" not in types:
        return int(value)
    return value if _type_names(value) & set(types) and not isinstance(value, str) else text


def _python_word(text: str, types: Sequence[str]) -> Json:
    """Read True, False and None, which models write for true, false and null."""
    if text in ("True", "False") and "boolean" in types:
        return text == "True"
    return None if text == "None" and "null" in types else text


def _type_names(value: Json) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    if isinstance(value, float):
        return {"number"}
    return {"array"} if isinstance(value, list) else {"object"} if isinstance(value, dict) else {"string"}
