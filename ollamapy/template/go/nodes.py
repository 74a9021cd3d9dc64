"""The syntax tree of a Go template; `str` of a node is the text that Go's error messages show.

Positions count characters of the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ollamapy.template.go.literals import quote


@dataclass(slots=True)
class Dot:
    """The cursor."""

    pos: int

    def __str__(self) -> str:
        return "."


@dataclass(slots=True)
class Nil:
    """The untyped nil."""

    pos: int

    def __str__(self) -> str:
        return "nil"


@dataclass(slots=True)
class Bool:
    """A boolean constant."""

    pos: int
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(slots=True)
class Number:
    """A numeric constant. Each of the four is None where the text can't be such a number."""

    pos: int
    text: str
    as_int: int | None = None
    as_uint: int | None = None
    as_float: float | None = None
    as_complex: complex | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class String:
    """A string constant."""

    pos: int
    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(slots=True)
class Identifier:
    """The name of a function."""

    pos: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Field:
    """`.A.B`."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(slots=True)
class Variable:
    """`$x.A.B`; the first name is the variable's, with its dollar sign."""

    pos: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(slots=True)
class Chain:
    """Fields of something else, such as `(pipeline).A.B`."""

    pos: int
    node: Operand
    fields: tuple[str, ...]

    def __str__(self) -> str:
        node = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return node + "".join(f".{name}" for name in self.fields)


@dataclass(slots=True)
class Command:
    """A function or value with its arguments."""

    pos: int
    args: list[Operand] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(slots=True)
class Pipe:
    """Commands, each of which gets the value of the one before; may declare or assign variables."""

    pos: int
    declared: list[Variable] = field(default_factory=list)
    is_assignment: bool = False
    commands: list[Command] = field(default_factory=list)

    def __str__(self) -> str:
        names = ", ".join(str(variable) for variable in self.declared)
        sign = (" = " if self.is_assignment else " := ") if self.declared else ""
        return names + sign + " | ".join(str(command) for command in self.commands)


@dataclass(slots=True)
class Text:
    """Text between actions."""

    pos: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Action:
    """`{{pipeline}}`."""

    pos: int
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(slots=True)
class Nodes:
    """A list of nodes."""

    pos: int
    nodes: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return "".join(str(node) for node in self.nodes)


@dataclass(slots=True)
class Branch:
    """`{{if}}`, `{{with}}` or `{{range}}` with what it holds."""

    pos: int
    word: Literal["if", "with", "range"]
    pipe: Pipe
    body: Nodes
    orelse: Nodes | None = None

    def __str__(self) -> str:
        orelse = "" if self.orelse is None else f"{{{{else}}}}{self.orelse}"
        return f"{{{{{self.word} {self.pipe}}}}}{self.body}{orelse}{{{{end}}}}"


@dataclass(slots=True)
class TemplateCall:
    """`{{template "name" pipeline}}`."""

    pos: int
    name: str
    pipe: Pipe | None = None

    def __str__(self) -> str:
        return f"{{{{template {quote(self.name)}{'' if self.pipe is None else f' {self.pipe}'}}}}}"


@dataclass(slots=True)
class Jump:
    """`{{break}}` or `{{continue}}`."""

    pos: int
    word: Literal["break", "continue"]

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


@dataclass(slots=True)
class Mark:
    """`{{end}}` or `{{else}}`: ends a list while parsing and stands in no tree."""

    pos: int
    word: Literal["end", "else"]

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


Operand: TypeAlias = Dot | Nil | Bool | Number | String | Identifier | Field | Variable | Chain | Pipe
Node: TypeAlias = Text | Action | Nodes | Branch | TemplateCall | Jump
AnyNode: TypeAlias = Operand | Command | Node
