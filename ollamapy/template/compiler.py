"""Writes a parsed template as Python that has its meter at hand: what is counted takes one call, not three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, MacroRef
from jinja2.environment import Environment
from jinja2.runtime import Macro
from jinja2.utils import missing

from ollamapy.template.bounds import Meter
from ollamapy.template.pure import pure_macros

# A variable and filters whose names no template can spell; each filter stands for a method of the meter.
METER = "0meter"
STEP = "0step"
WALKED = "0walked"
DATA = "0data"
MADE = "0made"
COMPARED = "0compared"
MAX_KEPT, MAX_KEPT_CHARS = 1024, 256  # texts that a pure macro wrote, and the longest
MAX_ITEMS, MAX_DEPTH = 8, 3  # of an argument that is compared with earlier ones
_METHODS: Mapping[str, str] = {
    STEP: "stepped",
    WALKED: "walked",
    DATA: "charge",
    MADE: "made",
    COMPARED: "compared",
}


class ChatMacro(Macro):
    """A macro that takes arguments given by position as they come, without Jinja's search for special ones.

    One that is pure keeps what it wrote, for the rendering that it belongs to. Names begin with an underscore so that
    no template can spell them.
    """

    def __init__(
        self,
        environment: Environment,
        func: Callable[..., str],
        name: str,
        arguments: list[str],
        catch_kwargs: bool,
        catch_varargs: bool,
        caller: bool,
        default_autoescape: bool | None = None,
    ) -> None:
        super().__init__(environment, func, name, arguments, catch_kwargs, catch_varargs, caller, default_autoescape)
        self._body = func
        self._absent = (missing,) * len(arguments)
        self._is_plain = not (catch_kwargs or catch_varargs or caller)
        self._keeps = False
        self._kept: dict[Any, str] = {}

    def _pure(self) -> ChatMacro:
        self._keeps = True
        return self

    def _run(self, meter: Meter, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if kwargs or not self._is_plain or len(args) > len(self._absent):
            return str(meter.made(self(*args, **kwargs)))
        key = _frozen(args) if self._keeps else None
        if key in self._kept:
            return self._kept[key]
        text: str = meter.made(self._body(*args, *self._absent[len(args) :]))
        if key is not None and len(text) <= MAX_KEPT_CHARS and len(self._kept) < MAX_KEPT:
            self._kept[key] = text
        return text


run_macro = ChatMacro._run


def _frozen(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return something that is equal for arguments that are alike, None for one that holds more than a few texts."""
    kind = type(value)
    if kind is str:
        return value
    if (kind is not tuple and kind is not list) or len(value) > MAX_ITEMS or depth == 0:
        return None
    parts = [_frozen(item, depth - 1) for item in value]
    return None if None in parts else (kind, *parts)


class MeteredGenerator(CodeGenerator):
    """Jinja's generator; nothing but text is worked out before a rendering, when there is no meter yet."""

    _pure_names: frozenset[str] = frozenset()

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802
        """Write the whole template."""
        self._pure_names = pure_macros(node)
        super().visit_Template(node, frame)

    def write_commons(self) -> None:
        """Begin the function of a template or block."""
        super().write_commons()
        self.writeline(f"meter = context.parent[{METER!r}]")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:  # noqa: N802
        """Write a filter, or the call of the meter that stands behind one of ours."""
        if node.name not in _METHODS or node.node is None:
            super().visit_Filter(node, frame)
            return
        self.write(f"meter.{_METHODS[node.name]}(")
        self.visit(node.node, frame)
        self.write(")")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802
        """Write a call of whatever the expression gives; the environment decides whether it may be called."""
        self.write("environment.run(meter, context, ")
        self.visit(node.node, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    def macro_def(self, macro_ref: MacroRef, frame: Frame) -> None:
        """Write the definition of a macro, which is one of ours."""
        self.write("environment.")
        super().macro_def(macro_ref, frame)
        if getattr(macro_ref.node, "name", None) in self._pure_names:
            self.write("._pure()")

    def _output_child_to_const(self, node: nodes.Expr, *_: Any) -> str:
        if isinstance(node, nodes.TemplateData):
            return node.data
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            return node.value
        raise nodes.Impossible

    def _output_child_pre(self, *_: Any) -> None:
        self.write("meter.printed(")

    def _output_child_post(self, *_: Any) -> None:
        self.write(")")
