"""Finds the macros of a template that write the same text for the same arguments, whatever else there is."""

from __future__ import annotations

from collections import Counter

from jinja2 import nodes

_Names = frozenset[str]

# What reads nothing but its parts: no variable is set, and nothing is called but a macro.
_PLAIN = (
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
    nodes.BinExpr,
    nodes.UnaryExpr,
    nodes.Concat,
    nodes.Compare,
    nodes.Operand,
    nodes.Tuple,
    nodes.List,
    nodes.Keyword,
)


def pure_macros(template: nodes.Template) -> _Names:
    """Return the names of the macros that read their arguments, loop variables and each other alone.

    Each is defined once, at the top, and its name stands for nothing else anywhere in the template.
    """
    stored = Counter(name.name for name in template.find_all(nodes.Name) if name.ctx != "load")
    stored.update(macro.name for macro in template.find_all(nodes.Macro))
    macros = {node.name: node for node in template.body if isinstance(node, nodes.Macro) and stored[node.name] == 1}
    pure = frozenset(macros)
    while True:
        left = frozenset(name for name in pure if _is_closed_macro(macros[name], pure))
        if left == pure:
            return pure
        pure = left


def _is_closed_macro(macro: nodes.Macro, pure: _Names) -> bool:
    known = frozenset(argument.name for argument in macro.args)
    return all(_is_closed(part, known, pure) for part in (*macro.defaults, *macro.body))


def _is_closed(node: nodes.Node, known: _Names, pure: _Names) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in known
    if isinstance(node, nodes.Call):
        if not isinstance(node.node, nodes.Name) or node.node.name not in pure:
            return False
        return all(_is_closed(part, known, pure) for part in (*node.args, *node.kwargs)) and not (
            node.dyn_args or node.dyn_kwargs
        )
    if isinstance(node, nodes.For):
        if not all(_is_closed(part, known, pure) for part in (node.iter, *node.else_)):
            return False
        within = known | {"loop", *(name.name for name in _targets(node.target))}
        return all(_is_closed(part, within, pure) for part in (*node.body, *([node.test] if node.test else [])))
    return isinstance(node, _PLAIN) and all(_is_closed(part, known, pure) for part in node.iter_child_nodes())


def _targets(target: nodes.Node) -> list[nodes.Name]:
    return [target] if isinstance(target, nodes.Name) else list(target.find_all(nodes.Name))
