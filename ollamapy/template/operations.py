"""Operators and string methods that check the size of their result before they make it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined

from ollamapy.errors import TemplateError
from ollamapy.template.bounds import Meter

_MAX_WIDTH = 1000  # of a field in `%` and str.format
_MAX_CHARS_ARGUMENT = 256  # of strip(chars)
_FORMAT_SPEC = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?")
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def add(meter: Meter, left: Any, right: Any) -> Any:
    """Return left + right."""
    if type(left) is str and type(right) is str:
        meter.check_chars(len(left) + len(right))
        return meter.made(left + right)
    if meter.bounds.forgives and isinstance(left, str) and isinstance(right, Undefined):
        return left
    if meter.bounds.forgives and isinstance(left, Undefined) and isinstance(right, str):
        return right
    if isinstance(left, str) and isinstance(right, str):
        meter.check_chars(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        meter.check_items(len(left) + len(right))
    return meter.made(left + right)


def multiply(meter: Meter, left: Any, right: Any) -> Any:
    """Return left * right."""
    for value, count in ((left, right), (right, left)):
        if isinstance(count, int):
            if isinstance(value, str):
                meter.check_chars(len(value) * max(count, 0))
            elif isinstance(value, list | tuple):
                meter.check_items(len(value) * max(count, 0))
            elif isinstance(value, int):
                meter.check_bits(value.bit_length() + count.bit_length())
    return meter.made(left * right)


def power(meter: Meter, left: Any, right: Any) -> Any:
    """Return left ** right."""
    if isinstance(left, int) and isinstance(right, int):
        meter.check_bits(max(left.bit_length(), 1) * abs(right) if abs(left) > 1 else 1)
    return meter.made(left**right)


def modulo(meter: Meter, left: Any, right: Any) -> Any:
    """Return left % right, which for a string is printf formatting."""
    if isinstance(left, str):
        specs = _FORMAT_SPEC.findall(left)
        if any(part == "*" or len(part) > 4 or int(part or 0) > _MAX_WIDTH for spec in specs for part in spec):
            raise TemplateError(f"the chat template formats a field wider than {_MAX_WIDTH} characters")
        nodes, chars = meter.measure(right)
        meter.check_chars(len(left) + len(specs) * (_MAX_WIDTH if any(map(any, specs)) else 0))
        each = chars + 8 * nodes
        meter.check_chars(len(left) + (len(specs) * each if isinstance(right, dict) else each))
    return meter.made(left % right)


OPERATORS: Mapping[str, Callable[[Meter, Any, Any], Any]] = {
    "+": add,
    "*": multiply,
    "**": power,
    "%": modulo,
}


def concatenate(meter: Meter, parts: list[Any]) -> str:
    """Return the parts as one text (`~`)."""
    texts = [meter.text(part) for part in parts]
    meter.check_chars(sum(map(len, texts)))
    return str(meter.made("".join(texts)))


def check_field(spec: str) -> None:
    """Refuse a str.format specification of an excessive width or precision."""
    if any(len(digits) > 4 or int(digits) > _MAX_WIDTH for digits in re.findall(r"[0-9]+", spec)):
        raise TemplateError(f"the chat template formats a field wider than {_MAX_WIDTH} characters")


def call_string_method(meter: Meter, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a bound method of a string, one of STRING_METHODS, within bounds."""
    check = _CHECKS.get(method.__name__)
    for arg in args:
        meter.measure(arg)
    if check is not None:
        check(meter, method.__self__, *args, **kwargs)
    return meter.made(method(*args, **kwargs))


def _check_width(meter: Meter, text: str, width: Any = 0, fill: Any = " ") -> None:
    meter.check_chars(max(len(text), operator.index(width)))
    meter.check_chars(len(fill))


def _check_replace(meter: Meter, text: str, old: Any, new: Any, count: Any = -1) -> None:
    if isinstance(old, str) and isinstance(new, str):
        found = len(text) + 1 if not old else text.count(old)
        found = found if count < 0 else min(found, count)
        meter.check_chars(len(text) + found * len(new))


def _check_join(meter: Meter, text: str, parts: Any) -> None:
    if not isinstance(parts, str | list | tuple | dict):
        raise TemplateError("the chat template joins something other than a list")
    meter.check_chars(sum(map(len, parts)) + len(text) * len(parts))


def _check_tabs(meter: Meter, text: str, tabsize: Any = 8) -> None:
    meter.check_chars(len(text) + text.count("\t") * max(operator.index(tabsize), 0))


def _check_split(meter: Meter, text: str, sep: Any = None, maxsplit: Any = -1) -> None:
    pieces = len(text) // 2 + 1 if sep is None else text.count(sep) + 1
    pieces = pieces if maxsplit < 0 else min(pieces, maxsplit + 1)
    meter.check_items(pieces)
    meter.charge(pieces * 64 + len(text))


def _check_reverse_split(meter: Meter, text: str, sep: Any = None, maxsplit: Any = -1) -> None:
    _check_reverse_search(meter, text, sep)
    _check_split(meter, text, sep, maxsplit)


def _check_lines(meter: Meter, text: str, *_: Any) -> None:
    pieces = 1 + sum(map(text.count, _LINE_ENDS))
    meter.check_items(pieces)
    meter.charge(pieces * 64 + len(text))


def _check_strip(meter: Meter, text: str, chars: Any = None) -> None:
    if isinstance(chars, str) and len(chars) > _MAX_CHARS_ARGUMENT:
        meter.check_cost(len(text) * len(chars))


def _check_reverse_search(meter: Meter, text: str, part: Any = None, *_: Any) -> None:
    # searching backwards has no linear worst case in CPython
    if isinstance(part, str):
        meter.check_cost(len(text) * len(part))


_CHECKS: Mapping[str, Callable[..., None]] = {
    "center": _check_width,
    "ljust": _check_width,
    "rjust": _check_width,
    "zfill": _check_width,
    "replace": _check_replace,
    "join": _check_join,
    "expandtabs": _check_tabs,
    "split": _check_split,
    "rsplit": _check_reverse_split,
    "splitlines": _check_lines,
    "strip": _check_strip,
    "lstrip": _check_strip,
    "rstrip": _check_strip,
    "rfind": _check_reverse_search,
    "rindex": _check_reverse_search,
    "rpartition": _check_reverse_search,
}

_LINEAR = (
    *("capitalize", "casefold", "lower", "swapcase", "title", "upper"),
    *("count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "startswith"),
    *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric"),
    *("isprintable", "isspace", "istitle", "isupper"),
)
STRING_METHODS = frozenset({"format", *_LINEAR, *_CHECKS})
