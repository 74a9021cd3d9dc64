"""Rewrites a parsed template so that loops, output and new values report to the meter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from ollamapy.errors import TemplateError
from ollamapy.template.compiler import COMPARED, DATA, MADE, STEP, WALKED
from ollamapy.template.filters import CONCATENATE

_SMALL_LITERAL = 8
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.ScopedEvalContextModifier: "autoescape",
    nodes.EvalContextModifier: "autoescape",
}


def bound_template(tree: nodes.Template) -> nodes.Template:
    """Return the template with metering built in; raises TemplateError for tags that reach outside it."""
    for kind, tag in _REFUSED.items():
        if (found := tree.find(kind)) is not None:
            raise TemplateError(f"the chat template uses {{% {tag} %}} in line {found.lineno}, which is not supported")
    bounded: nodes.Template = _Bounding().visit(tree)
    return bounded


class _Bounding(NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        _end_early(node)
        self.generic_visit(node)
        if node.test is None and not _asks_for_loop(node):  # cheaper, and some templates have loops in loops
            node.iter = _filter(node.iter, WALKED, node.lineno)
            return node
        node.body.insert(0, _statement(STEP, node.lineno))
        if node.test is not None:
            step = _filter(nodes.Const(True, lineno=node.lineno), STEP, node.lineno)
            node.test = nodes.And(step, node.test, lineno=node.lineno)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node | list[nodes.Node]:  # noqa: N802
        self.generic_visit(node)
        n_chars = sum(map(_text_length, node.nodes))
        return [_statement(DATA, node.lineno, n_chars), node] if n_chars else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), CONCATENATE, node.lineno)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(node, MADE, node.lineno) if isinstance(node.arg, nodes.Slice) else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(node, MADE, node.lineno) if len(node.items) > _SMALL_LITERAL else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        is_large = node.ctx == "load" and len(node.items) > _SMALL_LITERAL
        return _filter(node, MADE, node.lineno) if is_large else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        for pair in node.items:
            if not _is_constant(pair.key):
                pair.key = _filter(pair.key, COMPARED, node.lineno)
        return _filter(node, MADE, node.lineno) if len(node.items) > _SMALL_LITERAL else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        constant = _is_constant(node.expr) or all(_is_constant(operand.expr) for operand in node.ops)
        self.generic_visit(node)
        if not constant:
            node.expr = _filter(node.expr, COMPARED, node.lineno)
            for operand in node.ops:
                operand.expr = _filter(operand.expr, COMPARED, node.lineno)
        return node


def _end_early(node: nodes.For) -> None:
    """End a loop that does nothing any more: all of it stands under a flag which nothing but itself can change.

    Templates that look back for one message go on through all the others, for each message again.
    """
    if node.recursive or node.else_ or len(node.body) != 1:
        return
    condition = node.body[0]
    if isinstance(condition, nodes.If) and not (condition.elif_ or condition.else_) and _is_flag(condition.test, node):
        condition.else_ = [nodes.Break(lineno=condition.lineno)]


def _is_flag(test: nodes.Node, loop: nodes.For) -> bool:
    """Return whether a test is `not thing.flag` of a thing that is not the loop's own."""
    flag = test.node if isinstance(test, nodes.Not) else test
    if not isinstance(flag, nodes.Getattr) or not isinstance(flag.node, nodes.Name):
        return False
    return flag.node.name != "loop" and flag.node.name not in {name.name for name in _names(loop.target)}


def _text_length(node: nodes.Node) -> int:
    if isinstance(node, nodes.TemplateData):
        return len(node.data)
    return len(node.value) if isinstance(node, nodes.Const) and isinstance(node.value, str) else 0


def _asks_for_loop(node: nodes.For) -> bool:
    """Return whether the body needs to know about the loop it is in, which wants the iterable itself."""
    return node.recursive or any(name.name == "loop" for part in node.body for name in _names(part))


def _names(node: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(node, nodes.Name):
        yield node
    yield from node.find_all(nodes.Name)


def _is_constant(node: nodes.Node) -> bool:
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(map(_is_constant, node.items))
    return isinstance(node, nodes.Const)


def _filter(node: nodes.Node, name: str, line: int) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=line)


def _statement(name: str, line: int, value: Any = None) -> nodes.ExprStmt:
    return nodes.ExprStmt(_filter(nodes.Const(value, lineno=line), name, line), lineno=line)
