"""Tool calls out of JSON that a model wrote: which shapes count as a call, and how its arguments are read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ollamapy.types import Json

_NAME_KEYS = ("name", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")


@dataclass(frozen=True, slots=True)
class Found:
    """A call before it has an id."""

    name: str
    arguments: Mapping[str, Json]


def read_calls(body: str, declared: Collection[str], *, strict: bool = False) -> list[Found] | None:
    """Read the JSON values of `body`, each a call or a list of calls; None if anything in it is not.

    With `strict` a call must bring its arguments or bear a declared name, so that other JSON is not taken for one.
    """
    found: list[Found] = []
    values = read_values(body)
    for value in values or ():
        for item in value if isinstance(value, list) else [value]:
            call = read_call(item, declared, strict=strict)
            if call is None:
                return None
            found.append(call)
    return found or None


def read_call(value: Json, declared: Collection[str], *, strict: bool = False) -> Found | None:
    """Read one decoded JSON object as a call."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):
        return read_call(value["function"], declared, strict=strict)
    names = [value[key] for key in _NAME_KEYS if isinstance(value.get(key), str) and value[key]]
    if not names:
        return _read_keyed(value, declared)
    name = names[0]
    given = next((value[key] for key in _ARGUMENT_KEYS if key in value), None)
    if given is None and strict and name not in declared:
        return None
    arguments = read_arguments(given)
    return None if arguments is None else Found(name, arguments)


def _read_keyed(value: dict[str, Json], declared: Collection[str]) -> Found | None:
    """Read `{name: arguments}`."""
    if len(value) != 1:
        return None
    ((name, arguments),) = value.items()
    return Found(name, arguments) if name in declared and isinstance(arguments, dict) else None


def read_arguments(value: Json) -> dict[str, Json] | None:
    """Return an argument object, given as such, as its JSON text, or left out; None for anything else."""
    if isinstance(value, str):
        values = read_values(value) if value.strip() else [{}]
        value = values[0] if values is not None and len(values) == 1 else value
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def read_values(text: str) -> list[Json] | None:
    """Decode JSON values that follow each other, parted by whitespace, commas or semicolons; None if malformed.

    Raw line breaks within strings are accepted, since models write them; numbers that JSON can't carry are not.
    """
    values: list[Json] = []
    at = 0
    while at < len(text):
        if text[at].isspace() or (values and text[at] in ",;"):
            at += 1
            continue
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        values.append(_scrub(value) if "\\ud" in text.lower() else value)
    return values or None


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) != float("inf") else _refuse(text)


def _scrub(value: Json) -> Json:
    """Replace lone surrogates, which no later encoder could write."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    return value


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)
