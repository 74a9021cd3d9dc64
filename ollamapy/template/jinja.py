"""Compiling and rendering a Jinja template within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import jinja2

from ollamapy.errors import TemplateError
from ollamapy.template.bounds import Bounds, Meter
from ollamapy.template.compiler import METER
from ollamapy.template.sandbox import ChatEnvironment
from ollamapy.template.transform import bound_template

MAX_SOURCE_CHARS = 256 << 10
MAX_SOURCE_TOKENS = 10_000  # the largest templates in use have some 2,500; compiling takes up to 0.1 ms for each

_RENDER_FAULTS = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class JinjaTemplate:
    """A compiled template; rendering it keeps no state, so that threads may share it."""

    __slots__ = ("_template", "source")

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE_CHARS:
            raise TemplateError(f"the chat template has more than {MAX_SOURCE_CHARS} characters")
        self.source = source
        environment = ChatEnvironment()
        try:
            if next(islice(environment.lex(source), MAX_SOURCE_TOKENS, None), None) is not None:
                raise TemplateError(f"the chat template has more than {MAX_SOURCE_TOKENS} tokens")
            self._template = environment.from_string(bound_template(environment.parse(source)))
        except jinja2.TemplateSyntaxError as exc:
            raise TemplateError(f"the chat template does not parse: {exc.message} in line {exc.lineno}") from exc
        except (jinja2.TemplateError, SyntaxError, RecursionError, MemoryError, ValueError) as exc:
            raise TemplateError("the chat template does not parse: it is nested too deeply or malformed") from exc

    def render(self, variables: Mapping[str, Any], meter: Meter | None = None) -> str:
        """Return the text; raises TemplateError if the template fails or exceeds the meter's bounds.

        Blocks for as long as the bounds allow. Lists in `variables` may be changed.
        """
        meter = meter or Meter(Bounds())
        context = self._template.new_context({**variables, METER: meter})
        parts: list[str] = []
        try:
            for part in self._template.root_render_func(context):
                meter.output(len(part))
                parts.append(part)
        except _RENDER_FAULTS as exc:
            raise TemplateError(f"the chat template failed: {_reason(exc)}") from exc
        return "".join(parts)


def _reason(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "it calls itself too deeply"
    if isinstance(exc, MemoryError):
        return "out of memory"
    return f"{str(exc)[:300] or type(exc).__name__}"
