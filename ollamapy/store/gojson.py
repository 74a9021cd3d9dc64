"""JSON as Go's encoder writes it, so that the blobs and manifests made from the same values have the same digests.

Source: Go's encoding/json: HTML characters are escaped, map keys sorted, whole floats written without a fraction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

from ollamapy.types import Json

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def encode_go_json(value: Json) -> bytes:
    """Encode a value in one line with a newline behind it; the keys of objects keep their order."""
    return (_encode(value) + "\n").encode("utf-8", "replace")


def sort_keys(value: Json) -> Json:
    """Return a value whose objects are sorted by key, as Go writes maps."""
    if isinstance(value, Mapping):
        return {key: sort_keys(value[key]) for key in sorted(value)}
    return [sort_keys(item) for item in value] if isinstance(value, list | tuple) else value


def _encode(value: Json) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_string(str(key))}:{_encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode, value)) + "]"
    if isinstance(value, float):
        return _float(value)
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    encoded = json.dumps(text, ensure_ascii=False)
    for character, escape in _ESCAPES.items():
        encoded = encoded.replace(character, escape)
    return encoded


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("JSON has no NaN and no infinity")
    size = abs(value)
    if size and not 1e-6 <= size < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{int(exponent[1:]):02d}".replace("e-0", "e-")
    if value == int(value):
        return "-0" if math.copysign(1, value) < 0 and not value else str(int(value))
    return f"{Decimal(repr(value)):f}"
