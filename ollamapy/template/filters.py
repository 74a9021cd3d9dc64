"""The filters and tests that chat templates get, each within bounds; none of them can reach beyond its arguments.

Source: Jinja's built-in filters, with `tojson` and `safe` as Hugging Face and llama.cpp print them. Filters that only
web pages need (urlize, xmlattr, wordwrap, pprint, random, …) are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any

from jinja2 import filters, pass_context
from jinja2 import tests as jinja_tests
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context
from markupsafe import escape

from ollamapy.errors import TemplateError
from ollamapy.template import operations
from ollamapy.template.bounds import Meter
from ollamapy.template.compiler import METER
from ollamapy.types import Json

CONCATENATE = "0concatenate"  # a name that no template can spell

MAX_JSON_CHARS = 1 << 20
_MAX_DIGITS = 30
_MAX_INDENT = 32
_COVERED = re.compile("[^\x00-\x7f\U000f0000-\U000ffffd]")


def meter_of(context: Context) -> Meter:
    """Return the meter of the rendering that the context belongs to."""
    meter: Meter = context.parent[METER]
    return meter


def to_json(
    meter: Meter,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return the value as JSON, keeping the order of keys and every non-ASCII character by default."""
    step = indent if isinstance(indent, int) else len(indent or "")
    if step > _MAX_INDENT or any(len(text) > _MAX_INDENT for text in separators or ()):
        raise TemplateError(f"the chat template indents JSON by more than {_MAX_INDENT} characters")
    if isinstance(value, str) and not ensure_ascii:
        return encode_basestring(value)
    if isinstance(value, Iterator):
        value = meter.items(value)
    nodes, chars = meter.measure(value)
    meter.check_chars(chars + nodes * (4 + step))
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys)
    # placeholders of control tokens stay as they are, so that they are found again
    return _COVERED.sub(lambda found: json.dumps(found[0])[1:-1], text) if ensure_ascii else text


def _from_json(meter: Meter, value: Any) -> Json:
    if not isinstance(value, str) or len(value) > MAX_JSON_CHARS:
        raise TemplateError(f"the chat template reads JSON of more than {MAX_JSON_CHARS} characters, or none")
    meter.charge(64 * len(value))
    return json.loads(value)


def _join(meter: Meter, value: Any, separator: Any = "", attribute: Any = None, *, context: Context) -> str:
    items = meter.items(value)
    if attribute is not None:
        items = [make_attrgetter(context.environment, attribute)(item) for item in items]
    texts, between = [meter.text(item) for item in items], meter.text(separator)
    meter.check_chars(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _trim(meter: Meter, value: Any, chars: str | None = None) -> Any:
    return operations.call_string_method(meter, meter.text(value).strip, (chars,), {})


def _replace(meter: Meter, value: Any, old: Any, new: Any, count: int | None = None) -> Any:
    args = (meter.text(old), meter.text(new), -1 if count is None else count)
    return operations.call_string_method(meter, meter.text(value).replace, args, {})


def _center(meter: Meter, value: Any, width: int = 80) -> Any:
    return operations.call_string_method(meter, meter.text(value).center, (width,), {})


def _indent(meter: Meter, value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = meter.text(value)
    lines = operations.call_string_method(meter, text.splitlines, (), {})
    step = len(width) if isinstance(width, str) else width
    meter.check_chars(len(text) + (len(lines) + 1) * (step + 1))
    return filters.do_indent(text, width, first, blank)


def _format(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
    if args and kwargs:
        raise TemplateError("the chat template mixes positional and named arguments in a format filter")
    return operations.modulo(meter, meter.text(value), kwargs or args)


def _round(_: Meter, value: Any, precision: int = 0, method: Any = "common") -> Any:
    if abs(precision) > _MAX_DIGITS:
        raise TemplateError(f"the chat template rounds to more than {_MAX_DIGITS} digits")
    return filters.do_round(value, precision, method)


def _sum(meter: Meter, value: Any, attribute: Any = None, start: Any = 0, *, context: Context) -> Any:
    items = meter.items(value)
    if attribute is not None:
        items = [make_attrgetter(context.environment, attribute)(item) for item in items]
    for item in items:
        start = operations.add(meter, start, item)
    return start


def _batch(meter: Meter, value: Any, linecount: int, fill_with: Any = None) -> list[Any]:
    meter.check_items(linecount)
    meter.charge(8 * linecount)
    return list(filters.do_batch(meter.items(value), linecount, fill_with))


def _slice(meter: Meter, value: Any, slices: int, fill_with: Any = None) -> list[Any]:
    meter.check_items(slices)
    meter.charge(64 * slices)
    return list(filters.sync_do_slice(meter.items(value), slices, fill_with))


def _title(meter: Meter, value: Any) -> str:
    text = meter.text(value)
    meter.check_items(len(text))
    return filters.do_title(text)


def _reverse(meter: Meter, value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else meter.items(value)[::-1]


def _items(meter: Meter, value: Any) -> Any:
    return meter.items(filters.do_items(value))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a filter of Jinja that is linear in its argument."""

    def call(_: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(value, *args, **kwargs)

    return call


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a filter of Jinja that prints its argument first."""

    def call(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(meter.text(value), *args, **kwargs)

    return call


def _of_items(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a filter of Jinja that compares the items of its argument; it takes the environment first."""

    def call(meter: Meter, value: Any, *args: Any, context: Context, **kwargs: Any) -> Any:
        items = meter.items(value)
        meter.measure(items)
        found = function(context.environment, items, *args, **kwargs)
        return list(found) if isinstance(found, Iterator) else found

    return call


def _lazy(function: Callable[..., Iterable[Any]]) -> Callable[..., Any]:
    """Adapt a filter of Jinja that yields items; it takes the context first."""

    def call(meter: Meter, value: Any, *args: Any, context: Context, **kwargs: Any) -> Any:
        return meter.walked(function(context, meter.walked(value or ()), *args, **kwargs))

    return call


def _dictsort(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
    meter.measure(value)
    return filters.do_dictsort(value, *args, **kwargs)


_WITH_CONTEXT: Mapping[str, Callable[..., Any]] = {
    "join": _join,
    "sum": _sum,
    "sort": _of_items(filters.do_sort),
    "unique": _of_items(filters.do_unique),
    "min": _of_items(filters.do_min),
    "max": _of_items(filters.do_max),
    "groupby": _of_items(filters.sync_do_groupby),
    "truncate": lambda meter, value, *args, context, **kwargs: filters.do_truncate(
        context.environment, meter.text(value), *args, **kwargs
    ),
    "first": lambda _, value, context: filters.sync_do_first(context.environment, value),
    "last": lambda _, value, context: filters.do_last(context.environment, value),
    "map": _lazy(filters.sync_do_map),
    "select": _lazy(filters.sync_do_select),
    "reject": _lazy(filters.sync_do_reject),
    "selectattr": _lazy(filters.sync_do_selectattr),
    "rejectattr": _lazy(filters.sync_do_rejectattr),
}

_WITHOUT_CONTEXT: Mapping[str, Callable[..., Any]] = {
    "tojson": to_json,
    "from_json": _from_json,
    "fromjson": _from_json,
    "abs": _plain(abs),
    "int": _plain(filters.do_int),
    "float": _plain(filters.do_float),
    "length": _plain(len),
    "count": _plain(len),
    "default": _plain(filters.do_default),
    "d": _plain(filters.do_default),
    "dictsort": _dictsort,
    "items": _items,
    "list": Meter.items,
    "string": Meter.text,
    "safe": Meter.text,
    "lower": _of_text(str.lower),
    "upper": _of_text(str.upper),
    "capitalize": _of_text(str.capitalize),
    "title": _title,
    "escape": _of_text(lambda text: str(escape(text))),
    "e": _of_text(lambda text: str(escape(text))),
    "trim": _trim,
    "replace": _replace,
    "center": _center,
    "indent": _indent,
    "format": _format,
    "round": _round,
    "batch": _batch,
    "slice": _slice,
    "reverse": _reverse,
    CONCATENATE: operations.concatenate,
}

_COMPARISONS = frozenset(
    ("in", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", "ge", ">=", "<", "lt", "lessthan", "<=", "le")
)
_REFUSED_TESTS = {"callable", "filter", "test", "escaped"}


def _metered(function: Callable[..., Any], with_context: bool) -> Callable[..., Any]:
    @pass_context
    def call(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        meter = meter_of(context)
        if with_context:
            return meter.made(function(meter, value, *args, context=context, **kwargs))
        return meter.made(function(meter, value, *args, **kwargs))

    return call


def _measured_test(function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def call(context: Context, value: Any, *args: Any) -> Any:
        meter = meter_of(context)
        for operand in (value, *args):
            meter.measure(operand)
        return function(value, *args)

    return call


def filter_table() -> dict[str, Callable[..., Any]]:
    """Return the filters by name."""
    table = {name: _metered(function, with_context=True) for name, function in _WITH_CONTEXT.items()}
    table |= {name: _metered(function, with_context=False) for name, function in _WITHOUT_CONTEXT.items()}
    return table


def test_table() -> dict[str, Callable[..., Any]]:
    """Return the tests by name."""
    found: dict[str, Any] = dict(jinja_tests.TESTS)
    return {
        name: _measured_test(function) if name in _COMPARISONS else function
        for name, function in found.items()
        if name not in _REFUSED_TESTS
    }
