"""Questions to a template's syntax tree, and the copy of it that ends at a field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ollamapy.template.go.nodes import (
    Action,
    AnyNode,
    Branch,
    Chain,
    Command,
    Field,
    Node,
    Nodes,
    Pipe,
    TemplateCall,
    Variable,
)


def children(node: AnyNode) -> Iterator[AnyNode]:
    """Yield the nodes directly below a node, in the order of the source."""
    match node:
        case Nodes():
            yield from node.nodes
        case Branch():
            yield node.pipe
            yield node.body
            if node.orelse is not None:
                yield node.orelse
        case Action():
            yield node.pipe
        case TemplateCall():
            if node.pipe is not None:
                yield node.pipe
        case Pipe():
            yield from node.commands
        case Command():
            yield from node.args
        case Chain():
            yield node.node


def walk(node: AnyNode) -> Iterator[AnyNode]:
    """Yield a node and all nodes below it, in the order of the source."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(list(children(node)))


def field_names(node: AnyNode) -> tuple[str, ...]:
    """Return the names of the fields that a field or variable node reads."""
    if isinstance(node, Field):
        return node.names
    return node.names[1:] if isinstance(node, Variable) else ()


def names_used(trees: Iterable[Nodes]) -> frozenset[str]:
    """Return the names of all fields that the trees mention, in lower case."""
    return frozenset(name.lower() for tree in trees for node in walk(tree) for name in field_names(node))


def cut_behind(root: Nodes, name: str) -> Nodes:
    """Return a copy of the tree without anything that follows the first mention of a field outside of a condition."""
    return _Cutter(name).cut_list(root)


class _Cutter:
    def __init__(self, name: str) -> None:
        self._name = name
        self._done = False

    def cut_list(self, found: Nodes) -> Nodes:
        """Copy a list up to where the cut lies."""
        kept = Nodes(found.pos)
        for node in found.nodes:
            if self._done:
                break
            kept.nodes.append(self._cut(node))
        return kept

    def _cut(self, node: Node) -> Node:
        if isinstance(node, Nodes):
            return self.cut_list(node)
        if isinstance(node, Branch):
            body = self.cut_list(node.body)
            orelse = None if node.orelse is None else self.cut_list(node.orelse)
            return Branch(node.pos, node.word, node.pipe, body, orelse)
        if isinstance(node, Action):
            self._done = any(self._name in field_names(below) for below in walk(node))
        return node
