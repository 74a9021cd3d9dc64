"""The functions that every Go template can call.

Source: https://pkg.go.dev/text/template#hdr-Functions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from ollamapy.template.go.literals import is_printable
from ollamapy.template.go.printf import sprint, sprintf, sprintln
from ollamapy.template.go.values import (
    BASIC_KINDS,
    Boxed,
    Byte,
    Function,
    Kind,
    Struct,
    Value,
    elements,
    from_bytes,
    is_nil,
    is_true,
    kind_of,
    length_of,
    lookup,
    to_bytes,
    type_of,
    unbox,
)

ANY, ARG = "interface {}", "reflect.Value"


class CallError(Exception):
    """A function refused its arguments; the message is Go's."""


# ---- access


def index(item: Value, *indexes: Value) -> Value:
    """Return `item[i][j]…`."""
    item = unbox(item)
    if item is None:
        raise CallError("index of untyped nil")
    for at in map(unbox, indexes):
        item = unbox(item)
        if item is None:
            raise CallError("index of nil pointer")
        kind = kind_of(item)
        if kind in ("slice", "string"):
            place = _position(at, length_of(item))
            if place == length_of(item):
                raise CallError(f"reflect: {kind} index out of range")
            item = Byte(to_bytes(item)[place]) if isinstance(item, str) else elements(item)[place]
        elif kind == "map":
            item = lookup(item, _map_key(at))
        else:
            raise CallError(f"can't index item of type {type_of(item)}")
    return item


def _map_key(key: Value) -> str:
    if key is None:
        raise CallError("value is nil; should be of type string")
    if not isinstance(key, str):
        raise CallError(f"value has type {type_of(key)}; should be string")
    return key


def _position(at: Value, limit: int) -> int:
    if at is None:
        raise CallError("cannot index slice/array with nil")
    if isinstance(at, Boxed) or kind_of(at) not in ("int", "uint"):
        raise CallError(f"cannot index slice/array with type {type_of(at)}")
    if at < 0 or at > limit:
        raise CallError(f"index out of range: {int(at)}")
    return int(at)


def slice_(item: Value, *indexes: Value) -> Value:
    """Return `item[i:j]` or `item[i:j:k]`; strings are counted in bytes."""
    item = unbox(item)
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if isinstance(item, str) and len(indexes) == 3:
        raise CallError("cannot 3-index slice a string")
    if kind_of(item) not in ("string", "slice"):
        raise CallError(f"can't slice item of type {type_of(item)}")
    size = length_of(item)
    places = [_position(at, size) for at in indexes]  # what `index` takes out of an interface, Go's `slice` does not
    start, stop, *bound = [*places, *[0, size][len(places) :]]
    for low, high in ((start, stop), (stop, bound[0] if bound else stop)):
        if low > high:
            raise CallError(f"invalid slice index: {low} > {high}")
    if isinstance(item, str):
        return item[start:stop] if item.isascii() else from_bytes(to_bytes(item)[start:stop])
    if isinstance(item, (list, tuple, bytes)):
        return item[start:stop]
    return type(item)(item.type_name, item.items[start:stop], item.text)


def length(item: Value) -> int:
    """Return the length of a string, slice or map."""
    if isinstance(item, Boxed) and item.value is None:
        raise CallError("len of nil pointer")
    item = unbox(item)
    if item is None:
        raise CallError("reflect: call of reflect.Value.Type on zero Value")
    if kind_of(item) not in ("string", "slice", "map"):
        raise CallError(f"len of type {type_of(item)}")
    return length_of(item)


# ---- comparison


def _basic(value: Value) -> Kind:
    kind = kind_of(value)
    return kind if kind in BASIC_KINDS else "invalid"


def equal(first: Value, *others: Value) -> bool:
    """Return whether the first value equals any of the others."""
    first = unbox(first)
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal_one(first, unbox(other)) for other in others)


def _equal_one(a: Value, b: Value) -> bool:
    kinds = _basic(a), _basic(b)
    if kinds[0] != kinds[1]:
        if set(kinds) == {"int", "uint"}:
            return bool(a == b)
        if a is not None and b is not None:
            raise CallError(f"incompatible types for comparison: {type_of(a)} and {type_of(b)}")
        return False
    if kinds[0] != "invalid":
        return bool(a == b)
    return _equal_compound(a, b)


def _equal_compound(a: Value, b: Value) -> bool:
    if a is not None and b is not None and kind_of(a) != kind_of(b):
        raise CallError(f"non-comparable types {sprintf('%s', [a])}: {type_of(a)}, {type_of(b)}: {sprintf('%v', [b])}")
    if is_nil(a) or is_nil(b):
        return is_nil(a) == is_nil(b)
    if not isinstance(b, Struct):
        raise CallError(f"non-comparable type {sprintf('%s', [b])}: {type_of(b)}")
    return a is b


def not_equal(a: Value, b: Value) -> bool:
    """Return whether two values differ."""
    return not equal(a, b)


def less(a: Value, b: Value) -> bool:
    """Return whether a < b; strings compare by their bytes."""
    a, b = unbox(a), unbox(b)
    kinds = _basic(a), _basic(b)
    if "invalid" in kinds:
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1] and set(kinds) != {"int", "uint"}:
        raise CallError(f"incompatible types for comparison: {type_of(a)} and {type_of(b)}")
    if kinds[0] in ("bool", "complex"):
        raise CallError("invalid type for comparison")
    return to_bytes(a) < to_bytes(b) if isinstance(a, str) else bool(a < b)


def less_or_equal(a: Value, b: Value) -> bool:
    """Return whether a <= b."""
    return less(a, b) or equal(a, b)


def greater(a: Value, b: Value) -> bool:
    """Return whether a > b."""
    return not less_or_equal(a, b)


def greater_or_equal(a: Value, b: Value) -> bool:
    """Return whether a >= b."""
    return not less(a, b)


# ---- text


def _text_of(args: tuple[Value, ...]) -> str:
    return sprint(["<no value>" if arg is None else arg for arg in args])


def escape_html(*args: Value) -> str:
    """Escape for HTML."""
    return _text_of(args).translate(_HTML)


def escape_js(*args: Value) -> str:
    """Escape for a JavaScript string."""
    return _JS_SPECIAL.sub(lambda found: _escape_js_char(found[0]), _text_of(args))


def _escape_js_char(char: str) -> str:
    code = ord(char)
    if char in _JS:
        return _JS[char]
    is_kept = code >= 0x20 and (0xDC80 <= code <= 0xDCFF or is_printable(char))
    return char if is_kept else f"\\u{code:04X}"


def escape_query(*args: Value) -> str:
    """Escape for a URL's query."""
    return quote_plus(to_bytes(_text_of(args)), safe="")


_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_JS_SPECIAL = re.compile("[\\x00-\\x1f\\\\'\"<>&=\x80-\U0010ffff]")
_JS = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


def _variadic(call: Callable[..., Value], *params: str) -> Function:
    return Function(params, call, variadic=True)


BUILTINS: Mapping[str, Function] = {
    "index": _variadic(index, ARG, ARG),
    "slice": _variadic(slice_, ARG, ARG),
    "len": Function((ARG,), length),
    "not": Function((ARG,), lambda value: not is_true(value)),
    "eq": _variadic(equal, ARG, ARG),
    "ne": Function((ARG, ARG), not_equal),
    "lt": Function((ARG, ARG), less),
    "le": Function((ARG, ARG), less_or_equal),
    "gt": Function((ARG, ARG), greater),
    "ge": Function((ARG, ARG), greater_or_equal),
    "print": _variadic(lambda *args: sprint(args), ANY),
    "println": _variadic(lambda *args: sprintln(args), ANY),
    "html": _variadic(escape_html, ANY),
    "js": _variadic(escape_js, ANY),
    "urlquery": _variadic(escape_query, ANY),
}

SPECIAL: Mapping[str, Function] = {  # the evaluator runs these itself: they see expressions or the clock
    "printf": _variadic(lambda format_, *args: sprintf(format_, args), "string", ANY),
    "and": _variadic(lambda *args: args[-1], ARG, ARG),
    "or": _variadic(lambda *args: args[-1], ARG, ARG),
    "call": _variadic(lambda function, *_: function, ARG, ARG),
}
