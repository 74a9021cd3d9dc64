"""What a Go prompt template tells about answers: the tags around thinking, and the one before tool calls."""

from __future__ import annotations

from collections.abc import Iterator

from ollamapy.parsing.thinking import ThinkingTags
from ollamapy.template.go.nodes import Action, AnyNode, Branch, Field, Node, Nodes, Text
from ollamapy.template.go.tree import children, field_names, walk


def find_thinking_tags(root: Nodes) -> ThinkingTags | None:
    """Return the texts at both ends of the list in which a range over Messages writes `.Thinking`."""
    open_ = close = ""
    for ancestors in _paths(root, []):
        field = ancestors[-1]
        if not isinstance(field, Field) or field.names[0] != "Thinking" or not _is_in_messages(ancestors):
            continue
        around = next(node for node in reversed(ancestors) if isinstance(node, Nodes))
        first, last = around.nodes[0], around.nodes[-1]
        open_ = first.text.strip() if isinstance(first, Text) else open_
        close = last.text.strip() if isinstance(last, Text) else close
    return ThinkingTags(open_, close) if open_ and close else None


def _paths(node: AnyNode, above: list[AnyNode]) -> Iterator[list[AnyNode]]:
    """Yield each node with its ancestors in front."""
    path = [*above, node]
    yield path
    for child in children(node):
        yield from _paths(child, path)


def _is_in_messages(ancestors: list[AnyNode]) -> bool:
    """Return whether the innermost range around a node is one over Messages."""
    ranges = [node for node in ancestors if isinstance(node, Branch) and node.word == "range"]
    return bool(ranges) and any(field_names(node)[:1] == ("Messages",) for node in walk(ranges[-1].pipe))


def find_tool_tag(root: Nodes) -> str | None:
    """Return the first text that `{{ if .ToolCalls }}` writes, up to a brace; None if there is none."""
    branch = next((node for node in walk(root) if isinstance(node, Branch) and _asks_for_calls(node)), None)
    text = _first_text(branch.body.nodes) if branch is not None else None
    tag = text.replace("\r\n", "\n").strip().partition("{")[0].rstrip() if text is not None else ""
    return tag or None


def _asks_for_calls(branch: Branch) -> bool:
    args = [arg for command in branch.pipe.commands for arg in command.args]
    return branch.word == "if" and any(isinstance(arg, Field) and "ToolCalls" in arg.names for arg in args)


def _first_text(nodes: list[Node]) -> str | None:
    """Return the text before anything else is written, looking into the first branch."""
    for node in nodes:
        if isinstance(node, Text):
            return node.text
        if isinstance(node, Branch):
            found = _first_text(node.body.nodes)
            return found if found is not None or node.orelse is None else _first_text(node.orelse.nodes)
        if isinstance(node, Action):
            return None
    return None
