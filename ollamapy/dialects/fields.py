"""Reads the fields of a decoded JSON request by Go's rules, and names the field that is wrong.

Field names match in any case, unknown fields are ignored, null means unset, and of equal names the last one counts.
Source: Go's `encoding/json`, which decodes Ollama's requests.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from ollamapy.config import parse_duration
from ollamapy.errors import InvalidInputError
from ollamapy.types import Json, Think

FOREVER_AFTER_SECONDS = 1 << 33  # Go's longest duration is a little less than 2^33 + 2^29 seconds
MAX_SAFE_INTEGER = 1 << 53
MAX_TOP_LOGPROBS = 20
EFFORTS = ("high", "medium", "low", "max")

_SURROGATES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)
_REPLACEMENT = rb"\ufffd"  # as long as what it replaces, so that positions stay
_OUTSIDE_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
T = TypeVar("T")


def decode_body(body: bytes) -> Fields:
    """Decode a request body, which must be one JSON object; raises InvalidInputError saying what is wrong with it."""
    if not body.strip():
        raise InvalidInputError("missing request body")
    try:
        value = _decode(body)
    except RecursionError as exc:
        raise InvalidInputError("invalid JSON: the request body is nested too deeply") from exc
    if not isinstance(value, dict):
        raise InvalidInputError(f"the request body must be a JSON object, not {kind_of(value)}")
    return Fields(value)


def _decode(body: bytes) -> Json:
    """Decode JSON; as in Go a surrogate without its other half becomes U+FFFD."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        mended = _SURROGATES.sub(lambda match: _REPLACEMENT if match["lone"] else match[0], body)
        if mended != body:
            return _decode(mended)
        raise InvalidInputError(f"invalid JSON: {_reason(exc, body)}") from exc


def kind_of(value: Json) -> str:
    """Name the JSON type of a value, with its article."""
    return _KINDS.get(type(value), "null")


class Fields:
    """One JSON object of a request; `path` is where it stands, for messages: `messages[0]`."""

    __slots__ = ("_values", "path")

    def __init__(self, values: dict[str, Json], path: str = "") -> None:
        self._values = {key.lower(): value for key, value in values.items()}
        self.path = path

    def raw(self, name: str) -> Json:
        """Return a field of any type; None where it is absent or null."""
        return self._values.get(name)

    def has(self, name: str) -> bool:
        """Return whether a field says anything: it is there, not null and no empty text."""
        return name in self._values and self._values[name] not in (None, "")

    def text(self, name: str, default: str = "") -> str:
        """Return a string field."""
        value = self._values.get(name)
        return value if type(value) is str else self._typed(name, str, default)  # long chats have many of these

    def optional_text(self, name: str) -> str | None:
        """Return a string field, None where it is absent."""
        return None if self._values.get(name) is None else self._typed(name, str, "")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean field."""
        return self._typed(name, bool, default)

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number within low to high, None where it is absent."""
        number = self.number(name)
        if number is None:
            return None
        if number != int(number) or not low <= number <= high:
            raise InvalidInputError(f'field "{self.name_of(name)}" must be a whole number between {low} and {high}')
        return int(number)

    def number(self, name: str) -> float | None:
        """Return a number, None where it is absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._mistyped(name, "a number", value)
        return value

    def array(self, name: str) -> list[Json]:
        """Return an array, empty where it is absent."""
        return self._typed(name, list, [])

    def texts(self, name: str) -> list[str]:
        """Return an array of strings, empty where it is absent."""
        values = self.array(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self._mistyped(f"{name}[{index}]", "a string", value)
        return values

    def mapping(self, name: str) -> dict[str, Json] | None:
        """Return an object as it stands, None where it is absent."""
        return None if self._values.get(name) is None else self._typed(name, dict, {})

    def nested(self, name: str) -> Fields | None:
        """Return an object's fields, None where it is absent."""
        values = self.mapping(name)
        return None if values is None else Fields(values, self.name_of(name))

    def objects(self, name: str) -> list[Fields]:
        """Return the fields of each object of an array, empty where it is absent."""
        found: list[Fields] = []
        values = self.array(name)
        if not values:
            return found
        place = self.name_of(name)
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise self._mistyped(f"{name}[{index}]", "an object", value)
            found.append(Fields(value, f"{place}[{index}]"))
        return found

    def name_of(self, name: str) -> str:
        """Return a field's full name, `messages[0].content`."""
        return f"{self.path}.{name}" if self.path else name

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self._mistyped(name, _KINDS[kind], value)
        return value

    def _mistyped(self, name: str, wanted: str, value: Json) -> InvalidInputError:
        return InvalidInputError(f'field "{self.name_of(name)}" must be {wanted}, not {kind_of(value)}')


def read_keep_alive(fields: Fields) -> float | None:
    """Return how long a model stays loaded, in seconds: None where unset, infinity for a negative value."""
    value = fields.raw("keep_alive")
    if value is None:
        return None
    if isinstance(value, str):
        try:
            seconds = parse_duration(value)
        except InvalidInputError as exc:
            raise InvalidInputError(
                f'field "keep_alive": {exc.message}; give a number of seconds or a duration like "5m"'
            ) from exc
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(
            f'field "keep_alive" must be a number of seconds or a duration like "5m", not {kind_of(value)}'
        )
    else:
        seconds = float(max(min(value, FOREVER_AFTER_SECONDS + 1), -1))
    return math.inf if seconds < 0 or seconds > FOREVER_AFTER_SECONDS else seconds


def read_think(fields: Fields) -> Think:
    """Return the wish to see the model think, None where unset."""
    allowed = "(must be {}, true, or false)".format(", ".join(f'"{effort}"' for effort in EFFORTS))
    value = fields.raw("think")
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InvalidInputError(f"think must be a boolean or string {allowed}, not {kind_of(value)}")
    return parse_effort(value, f'invalid think value: "{value}" {allowed}')


def parse_effort(text: str, complaint: str) -> Think:
    """Return a level of thinking; raises InvalidInputError with that complaint."""
    match text:
        case "low" | "medium" | "high" | "max":
            return text
        case _:
            raise InvalidInputError(complaint)


def read_format(fields: Fields) -> Json:
    """Return the wanted output format: None, "json" or a JSON schema object."""
    value = fields.raw("format")
    if value in (None, ""):
        return None
    if value == "json" or isinstance(value, dict):
        return value
    shown = msgspec.json.encode(value).decode()
    shown = shown if len(shown) <= 80 else shown[:80] + "…"
    raise InvalidInputError(f'invalid format: {shown}; expected "json" or a valid JSON Schema object')


def read_top_logprobs(fields: Fields) -> int:
    """Return how many alternatives each token shall come with."""
    value = fields.number("top_logprobs")
    if value is not None and (value != int(value) or not 0 <= value <= MAX_TOP_LOGPROBS):
        raise InvalidInputError(f"top_logprobs must be between 0 and {MAX_TOP_LOGPROBS}")
    return int(value or 0)


def decode_base64(text: str, where: str) -> bytes:
    """Decode standard padded base64; raises InvalidInputError naming the field and the first byte that is wrong.

    Nothing at all is refused, too: a picture would be missing without a word.
    """
    data = text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"")
    if not data:
        raise InvalidInputError(f"{where} is empty; send a picture or leave it out")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as exc:
        body = data.rstrip(b"=")
        bad = _OUTSIDE_BASE64.search(body)
        at = bad.start() if bad else len(body)
        hint = '; leave out the "data:…;base64," in front' if data.startswith(b"data:") else ""
        raise InvalidInputError(f"{where}: illegal base64 data at input byte {at}{hint}") from exc


def _reason(exc: Exception, body: bytes) -> str:
    text = str(exc)
    if (bad := _first_not_utf8(body)) < len(body):
        return f"the request body is not UTF-8 at byte {bad}"
    if "out of range" in text:
        where = _find_not_finite(json.loads(body, parse_int=float), "")
        return f'the number of field "{where}" is out of range' if where else "a number is out of range"
    if where := _find_not_json(body):
        return f'field "{where}" must be a finite number; JSON has neither NaN nor Infinity'
    return text.removeprefix("JSON is malformed: ")


def _find_not_json(body: bytes) -> str | None:
    """Return where the first NaN or Infinity stands, which Python's reader takes and JSON does not have."""
    try:
        return _find_not_finite(json.loads(body), "")
    except ValueError:
        return None


def _first_not_utf8(body: bytes) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        return exc.start
    return len(body)


def _find_not_finite(value: Json, path: str) -> str | None:
    """Return where the first number stands that is beyond those of a double, or none at all."""
    if isinstance(value, float) and not math.isfinite(value):
        return path
    children: Iterable[tuple[str, Json]] = ()
    if isinstance(value, dict):
        children = ((f"{path}.{key}" if path else key, child) for key, child in value.items())
    elif isinstance(value, list):
        children = ((f"{path}[{index}]", child) for index, child in enumerate(value))
    return next((found for where, child in children if (found := _find_not_finite(child, where)) is not None), None)
