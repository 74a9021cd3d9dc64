"""The Jinja environment of chat templates: an immutable sandbox in which every operation is metered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace, missing

from ollamapy.errors import TemplateError
from ollamapy.template import operations
from ollamapy.template.bounds import Meter
from ollamapy.template.compiler import ChatMacro, MeteredGenerator, run_macro
from ollamapy.template.filters import filter_table, meter_of, test_table

if tuple(int(part) for part in jinja2.__version__.split(".")[:3]) < (3, 1, 6):
    raise ImportError(f"jinja2 {jinja2.__version__} has known sandbox escapes; install jinja2 3.1.6 or later")

MAX_RANGE = 100_000
MAX_DATE_FORMAT_CHARS = 100

# What a template may call on plain data. A list's append and pop change only the copies that a rendering gets.
_DICT_METHODS = frozenset({"get", "items", "keys", "values", "copy"})
_METHODS: Mapping[type, frozenset[str]] = {
    str: operations.STRING_METHODS,
    dict: _DICT_METHODS,
    list: frozenset({"append", "pop", "index", "count", "copy"}),
    tuple: frozenset({"index", "count"}),
    float: frozenset({"is_integer"}),
}
_JINJA_TYPES = (Undefined, LoopContext, Macro, Namespace, Cycler, Joiner, TemplateReference, BlockReference)
_STORING = (Namespace, Cycler, Joiner)  # classes that keep their arguments and neither print nor compare them
_COMPARING_METHODS = frozenset({"index", "count"})


class Format:
    """A string's `format`, to be called by the environment alone."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Formatter(SandboxedFormatter):
    """str.format whose fields are bounded."""

    def __init__(self, environment: ChatEnvironment, meter: Meter) -> None:
        super().__init__(environment)
        self._meter = meter

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one field."""
        operations.check_field(format_spec)
        if isinstance(value, int | float):
            return format(value, format_spec)
        return str(self._meter.made(format(self._meter.text(value), format_spec)))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """Apply `!r`, `!s` or `!a`."""
        self._meter.text(value)
        return super().convert_field(value, conversion)


# A namespace looks each name up by two calls in Python, and templates do that in loops within loops.
_VARIABLES = "_Namespace__attrs"
_variables_of: Callable[[Any, str], dict[str, Any]] = object.__getattribute__


class GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}`, which marks the assistant's text for training: transparent here."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the nodes between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja as Hugging Face sets it up for chat templates, metered."""

    code_generator_class = MeteredGenerator
    Macro = ChatMacro
    intercepted_binops = frozenset(operations.OPERATORS)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, GenerationTag],
            autoescape=False,
            optimized=False,
        )
        self.filters.clear()
        self.filters.update(filter_table())
        self.tests.clear()
        self.tests.update(test_table())
        del self.globals["lipsum"]
        self.globals["range"] = bounded_range
        self.globals["raise_exception"] = raise_exception

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply `+`, `*`, `**` or `%` within bounds."""
        return operations.OPERATORS[operator](meter_of(context), left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `obj.attribute` as templates mean it: an allowed method, else an item."""
        kind = type(obj)
        if kind is dict and attribute not in _DICT_METHODS:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if kind is Namespace and not attribute.startswith("_"):
            found = _variables_of(obj, _VARIABLES).get(attribute, missing)
            return self.undefined(obj=obj, name=attribute) if found is missing else found
        if attribute in _METHODS.get(kind, ()):
            return Format(obj) if kind is str and attribute == "format" else getattr(obj, attribute)
        if kind is LoopContext and not attribute.startswith("_"):
            return getattr(obj, attribute, self.undefined(obj=obj, name=attribute))
        if isinstance(obj, _JINJA_TYPES):
            return super().getattr(obj, attribute)
        if isinstance(obj, tuple) and attribute in getattr(kind, "_fields", ()):
            return getattr(obj, attribute)
        if hasattr(obj, attribute):
            return self.unsafe_undefined(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return `obj[argument]`, or the attribute of that name."""
        if isinstance(argument, tuple):
            raise TemplateError("the chat template uses a tuple as a key")
        if isinstance(obj, str | dict | list | tuple | range):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                if isinstance(argument, str):
                    return self.getattr(obj, argument)
                return self.undefined(obj=obj, name=argument)
        if isinstance(obj, _JINJA_TYPES):
            return super().getitem(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, a global, or an allowed method within bounds."""
        return self.run(meter_of(context), context, obj, *args, **kwargs)

    def run(self, meter: Meter, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, a global, or an allowed method within bounds; as templates do it."""
        meter.step()
        kind = type(obj)
        if kind is ChatMacro:  # the template's own text: nothing in it needs the checks below
            return run_macro(obj, meter, args, kwargs)
        if kind is Format:
            meter.check_chars(len(obj.text))
            return meter.made(Formatter(self, meter).vformat(obj.text, args, kwargs))
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            return operations.call_string_method(meter, obj, args, kwargs)
        if not isinstance(obj, LoopContext) and obj not in _STORING:
            for value in (owner, *args) if getattr(obj, "__name__", "") in _COMPARING_METHODS else args:
                meter.compared(value)
        # what `getattr` gives out of a dictionary, and two globals: Jinja's own checks would take most of the time
        if type(owner) is dict or obj is Namespace or obj is bounded_range:
            return meter.made(obj(*args, **kwargs))
        return meter.made(super().call(context, obj, *args, **kwargs))


def bounded_range(*args: int) -> range:
    """Return a range of at most MAX_RANGE items."""
    found = range(*args)
    if len(found) > MAX_RANGE:
        raise TemplateError(f"the chat template makes a range of more than {MAX_RANGE} items")
    return found


def raise_exception(message: Any = "") -> None:
    """Refuse the chat on behalf of the template."""
    raise TemplateError(f"the model's chat template refuses this chat: {str(message)[:500]}")


def date_formatter(now: datetime) -> Callable[[str], str]:
    """Return `strftime_now` for that time."""

    def strftime_now(date_format: str) -> str:
        if len(date_format) > MAX_DATE_FORMAT_CHARS or any(c.isdigit() for c in date_format):
            raise TemplateError("the chat template formats the date in an unusual way")
        return now.strftime(date_format)

    return strftime_now
