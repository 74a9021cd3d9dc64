"""JSON as Go's encoding/json writes it: keys in order of their bytes, and `<`, `>` and `&` escaped.

Source: https://pkg.go.dev/encoding/json#Marshal
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from ollamapy.template.go.floats import format_float
from ollamapy.template.go.values import Boxed, Byte, Map, Slice, Struct, Value, to_bytes, type_of

_SPECIAL = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def json_text(value: Value) -> str:
    """Return the JSON of a value. Structs are written in the order of their `json` fields."""
    write = _SCALARS.get(type(value))
    if write is not None:
        return write(value)
    match value:
        case Boxed():
            return json_text(value.value)
        case Struct():
            return _object({key: json_text(item) for key, item in value.json.items()})
        case Mapping() | Map():
            items = value.items if isinstance(value, Map) else value
            return _object({key: json_text(items[key]) for key in sorted(items, key=to_bytes)})
        case Slice() | list() | tuple():
            found = value.items if isinstance(value, Slice) else value
            return f"[{','.join(json_text(item) for item in found)}]"
    raise ValueError(f"json: unsupported type: {type_of(value)}")


def _object(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{_string(key)}:{text}" for key, text in texts.items()) + "}"


def _string(text: str) -> str:
    return f'"{_SPECIAL.sub(lambda found: _escape(found[0]), text)}"'


def _escape(char: str) -> str:
    if "\ud800" <= char <= "\udfff":
        return "\\ufffd"
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _float(number: float) -> str:
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return format_float(number, "f", -1)
    text = format_float(number, "e", -1)
    return f"{text[:-2]}{text[-1]}" if text[-4:-1] == "e-0" else text


_SCALARS: Mapping[type, Callable[[Value], str]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    str: _string,
    int: str,
    Byte: lambda value: str(int(value)),
    float: _float,
    bytes: lambda value: f'"{base64.b64encode(value).decode()}"',
}
