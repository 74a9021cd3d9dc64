"""Execution of a parsed Go template on data, bounded in steps, time and output; error texts are Go's.

Source: https://pkg.go.dev/text/template
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ollamapy.errors import TemplateError
from ollamapy.template.deadline import Deadline
from ollamapy.template.go import nodes
from ollamapy.template.go.functions import ANY, ARG, BUILTINS, SPECIAL, CallError
from ollamapy.template.go.literals import quote
from ollamapy.template.go.parser import ParsedTemplate
from ollamapy.template.go.printf import sprint, sprintf
from ollamapy.template.go.values import (
    Function,
    Map,
    Struct,
    Value,
    elements,
    entries,
    is_true,
    kind_of,
    lookup,
    to_bytes,
    type_of,
    unbox,
)

MAX_DEPTH = 100  # templates within templates; Go's own bound is 100000
_NOTHING = object()  # no value came through the pipeline
_Jump = Literal["break", "continue"] | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one prompt may cost. A step is a node, a call or a loop's turn; `made_chars` sums what calls give."""

    steps: int = 1_000_000
    seconds: float = 1.0  # of the processor; a single call may add about half of this
    output_chars: int = 16 << 20
    made_chars: int = 64 << 20


def execute(
    template: ParsedTemplate,
    data: Value,
    functions: Mapping[str, Function],
    *,
    root: nodes.Nodes | None = None,
    limits: Limits | None = None,
    deadline: Deadline | None = None,
) -> str:
    """Return the output; `root` is executed in place of the template's own tree, if given. Raises TemplateError."""
    return Execution(template, functions, limits, deadline).run(data, root)


class Execution:
    """One execution or several in a row, within the same limits. `_node` is the node that an error is reported at."""

    def __init__(
        self,
        template: ParsedTemplate,
        functions: Mapping[str, Function],
        limits: Limits | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        limits = limits or Limits()
        self._out: list[str] = []
        self._template = template
        printf = replace(SPECIAL["printf"], call=lambda format_, *args: sprintf(format_, args, self._check_time))
        self._functions = {**BUILTINS, **SPECIAL, "printf": printf, **functions}
        self._limits = limits
        self._deadline = deadline or Deadline(limits.seconds)
        self._steps = 0
        self._chars = 0
        self._made = 0
        self._depth = 0
        self._name = template.name
        self._node: nodes.AnyNode | None = None
        self._variables: list[tuple[str, Value]] = []

    def run(self, data: Value, root: nodes.Nodes | None = None) -> str:
        """Return the output; `root` is executed in place of the template's own tree, if given. Raises TemplateError."""
        self._out, self._depth, self._name, self._node = [], 0, self._template.name, None
        self._variables = [("$", data)]
        try:
            self._walk_list(data, self._template.root if root is None else root)
        except RecursionError:
            raise TemplateError(f"template: {self._template.name}: exceeded maximum template depth") from None
        return "".join(self._out)

    # ---- bounds and errors

    def _fail(self, message: str) -> TemplateError:
        name = self._template.name
        if self._node is None:
            return TemplateError(f"template: {name}: {message}")
        before = self._template.source[: self._node.pos]
        column = len(to_bytes(before[before.rfind("\n") + 1 :]))
        place = f"{name}:{before.count(chr(10)) + 1}:{column}"
        return TemplateError(f"template: {place}: executing {quote(self._name)} at <{self._node}>: {message}")

    def _step(self) -> None:
        self._steps += 1
        if self._steps > self._limits.steps:
            raise self._fail(f"the template takes more than {self._limits.steps} steps")
        self._check_time()

    def _check_time(self) -> None:
        if self._deadline.has_passed():
            raise self._fail(f"the template takes longer than {self._limits.seconds:g} seconds")

    def _write(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > self._limits.output_chars:
            raise self._fail(f"the template gives more than {self._limits.output_chars} characters")
        self._out.append(text)

    # ---- actions

    def _walk_list(self, dot: Value, found: nodes.Nodes) -> _Jump:
        """Execute a list; a jump ends it and is returned, so that it ends the lists around it too."""
        for node in found.nodes:
            self._step()
            self._node = node
            jump: _Jump = None
            if isinstance(node, nodes.Text):
                self._write(node.text)
            elif isinstance(node, nodes.Action):
                self._print(dot, node)
            elif isinstance(node, nodes.Branch):
                jump = self._walk_range(dot, node) if node.word == "range" else self._walk_choice(dot, node)
            elif isinstance(node, nodes.TemplateCall):
                self._walk_template(dot, node)
            else:
                jump = node.word if isinstance(node, nodes.Jump) else self._walk_list(dot, node)
            if jump is not None:
                return jump
        return None

    def _print(self, dot: Value, node: nodes.Action) -> None:
        value = self._pipe(dot, node.pipe)
        if node.pipe.declared:
            return
        self._node = node
        if isinstance(value, Function):
            raise self._fail(f"can't print {node} of type {type_of(value)}")
        self._write(self._text_of(value))

    def _text_of(self, value: Value) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return "<no value>"
        try:
            return sprint([value])
        except ValueError as error:
            raise self._fail(str(error)) from None

    def _walk_choice(self, dot: Value, node: nodes.Branch) -> _Jump:
        mark = len(self._variables)
        value = self._pipe(dot, node.pipe)
        jump: _Jump = None
        if is_true(value):
            jump = self._walk_list(value if node.word == "with" else dot, node.body)
        elif node.orelse is not None:
            jump = self._walk_list(dot, node.orelse)
        del self._variables[mark:]
        return jump

    def _walk_template(self, dot: Value, node: nodes.TemplateCall) -> None:
        root = self._template.trees.get(node.name)
        if root is None:
            raise self._fail(f"template {quote(node.name)} not defined")
        if self._depth == MAX_DEPTH:
            raise self._fail(f"exceeded maximum template depth ({MAX_DEPTH})")
        dot = None if node.pipe is None else self._pipe(dot, node.pipe)
        outer = self._name, self._variables
        self._name, self._variables, self._depth = node.name, [("$", dot)], self._depth + 1
        self._walk_list(dot, root)
        self._name, self._variables = outer
        self._depth -= 1

    # ---- range

    def _walk_range(self, dot: Value, node: nodes.Branch) -> _Jump:
        outer = len(self._variables)
        value = unbox(self._pipe(dot, node.pipe))
        mark = len(self._variables)
        ran = False
        for key, element in self._turns(value, node):
            ran = True
            self._step()
            self._set_loop_variables(node.pipe, key, element)
            jump = self._walk_list(element, node.body)
            del self._variables[mark:]
            if jump == "break":
                break
        jump = self._walk_list(dot, node.orelse) if not ran and node.orelse is not None else None
        del self._variables[outer:]
        return jump

    def _turns(self, value: Value, node: nodes.Branch) -> Iterable[tuple[Value, Value]]:
        match kind_of(value):
            case "invalid":
                return ()
            case "slice":
                return enumerate(elements(value))
            case "map":
                return entries(value)
            case "int" | "uint":
                if len(node.pipe.declared) > 1:
                    raise self._fail(f"can't use {value} to iterate over more than one variable")
                return ((None, at) for at in range(value))
        raise self._fail(f"range can't iterate over {sprintf('%v', [value])}")

    def _set_loop_variables(self, pipe: nodes.Pipe, key: Value, element: Value) -> None:
        names = pipe.declared
        if not names:
            return
        values = [element] if len(names) == 1 else [key, element]
        if pipe.is_assignment:
            for variable, value in zip(names, values, strict=True):
                self._assign(variable.names[0], value)
            return
        for offset, (variable, value) in enumerate(zip(names, values, strict=True), len(self._variables) - len(names)):
            self._variables[offset] = (variable.names[0], value)

    # ---- pipelines

    def _assign(self, name: str, value: Value) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise self._fail(f"undefined variable: {name}")

    def _pipe(self, dot: Value, pipe: nodes.Pipe) -> Value:
        self._node = pipe
        value: Value = _NOTHING
        for command in pipe.commands:
            value = unbox(self._command(dot, command, value))
        for variable in pipe.declared:
            if pipe.is_assignment:
                self._assign(variable.names[0], value)
            else:
                self._variables.append((variable.names[0], value))
        return value

    def _command(self, dot: Value, command: nodes.Command, final: Value) -> Value:
        first = command.args[0]
        if isinstance(first, nodes.Field):
            self._node = first
            return self._chain(dot, dot, first, first.names, command.args, final)
        if isinstance(first, nodes.Chain):
            return self._chain_node(dot, first, command.args, final)
        if isinstance(first, nodes.Identifier):
            return self._function(dot, first, command, command.args, final)
        if isinstance(first, nodes.Variable):
            return self._variable(dot, first, command.args, final)
        if isinstance(first, nodes.Pipe):
            self._refuse_arguments(command.args, final)
            return self._pipe(dot, first)
        self._node = first
        self._refuse_arguments(command.args, final)
        if isinstance(first, nodes.Nil):
            raise self._fail("nil is not a command")
        return self._constant(dot, first)

    def _refuse_arguments(self, args: Sequence[nodes.Operand], final: Value) -> None:
        if len(args) > 1 or final is not _NOTHING:
            raise self._fail(f"can't give argument to non-function {args[0]}")

    def _constant(self, dot: Value, node: nodes.Dot | nodes.Bool | nodes.Number | nodes.String) -> Value:
        if isinstance(node, nodes.Dot):
            return dot
        return self._ideal(node) if isinstance(node, nodes.Number) else node.value

    def _ideal(self, node: nodes.Number) -> Value:
        """Return a number as the type that its spelling suggests."""
        self._node = node
        text = node.text
        if node.as_complex is not None:
            return node.as_complex
        is_hex = text[:2].lower() == "0x" and not any(c in text for c in "pP")
        if node.as_float is not None and not is_hex and text[0] != "'" and any(c in text for c in ".eEpP"):
            return node.as_float
        if node.as_int is not None:
            return node.as_int
        raise self._fail(f"{text} overflows int")

    def _variable(self, dot: Value, node: nodes.Variable, args: Sequence[nodes.Operand], final: Value) -> Value:
        self._node = node
        value = next((value for name, value in reversed(self._variables) if name == node.names[0]), _NOTHING)
        if value is _NOTHING:
            raise self._fail(f"undefined variable: {node.names[0]}")
        if len(node.names) == 1:
            self._refuse_arguments(args, final)
            return value
        return self._chain(dot, value, node, node.names[1:], args, final)

    def _chain_node(self, dot: Value, node: nodes.Chain, args: Sequence[nodes.Operand], final: Value) -> Value:
        self._node = node
        if isinstance(node.node, nodes.Nil):
            raise self._fail(f"indirection through explicit nil in {node}")
        value = self._argument(dot, node.node, None)
        return self._chain(dot, value, node, node.fields, args, final)

    def _chain(
        self,
        dot: Value,
        value: Value,
        node: nodes.Operand,
        names: Sequence[str],
        args: Sequence[nodes.Operand],
        final: Value,
    ) -> Value:
        for name in names[:-1]:
            value = self._field(dot, value, node, name, (), _NOTHING)
        return self._field(dot, value, node, names[-1], args, final)

    def _field(
        self,
        dot: Value,
        value: Value,
        node: nodes.Operand,
        name: str,
        args: Sequence[nodes.Operand],
        final: Value,
    ) -> Value:
        """Return a method's result, a struct's field or a map's element."""
        if value is None:
            return None
        type_name = type_of(value)
        inner = unbox(value)
        if inner is None:
            raise self._fail(f"nil pointer evaluating {type_name}.{name}")
        if isinstance(inner, Struct) and name in inner.methods:
            return self._call(dot, inner.methods[name], node, name, args, final)
        if name == "String" and getattr(inner, "text", None) is not None:
            return self._call(dot, Function((), inner.text), node, name, args, final)
        has_args = len(args) > 1 or final is not _NOTHING
        if isinstance(inner, Struct) and name in inner.fields:
            if has_args:
                raise self._fail(f"{name} has arguments but cannot be invoked as function")
            return inner.fields[name]
        if isinstance(inner, (dict, Map)):
            if has_args:
                raise self._fail(f"{name} is not a method but has arguments")
            return lookup(inner, name)
        raise self._fail(f"can't evaluate field {name} in type {type_name}")

    # ---- functions

    def _function(
        self,
        dot: Value,
        node: nodes.Identifier,
        command: nodes.Operand | nodes.Command,
        args: Sequence[nodes.Operand],
        final: Value,
    ) -> Value:
        self._node = node
        function = self._functions.get(node.name)
        if function is None:
            raise self._fail(f"{quote(node.name)} is not a defined function")
        if function is SPECIAL.get(node.name):
            return self._special(dot, function, command, node.name, args, final)
        return self._call(dot, function, command, node.name, args, final)

    def _special(
        self,
        dot: Value,
        function: Function,
        command: nodes.Operand | nodes.Command,
        name: str,
        args: Sequence[nodes.Operand],
        final: Value,
    ) -> Value:
        """Run `and` and `or`, which stop at the first value that decides, and `call`."""
        self._check_count(function, name, args, final)
        if name != "call":
            value: Value = final
            for arg in args[1:]:
                value = self._argument(dot, arg, ARG)
                if is_true(value) == (name == "or"):
                    return value
            return value if final is _NOTHING else final
        values = self._arguments(dot, function, args, final)
        try:
            return self._call_value(unbox(values[0]), args, [unbox(value) for value in values[1:]])
        except CallError as error:
            self._node = command
            raise self._fail(f"error calling call: {error}") from None

    def _call_value(self, function: Value, args: Sequence[nodes.Operand], values: list[Value]) -> Value:
        if function is None:
            raise CallError("call of nil")
        piped = function if isinstance(function, str) else f"<{type_of(function)} Value>"
        name = str(args[1]) if len(args) > 1 else piped
        if not isinstance(function, Function):
            raise CallError(f"non-function {name} of type {type_of(function)}")
        fixed = len(function.params) - function.variadic
        if len(values) < fixed or (len(values) > fixed and not function.variadic):
            least = " at least" if function.variadic else ""
            raise CallError(f"wrong number of args for {name}: got {len(values)} want{least} {fixed}")
        return function.call(*values)

    def _check_count(self, function: Function, name: str, args: Sequence[nodes.Operand], final: Value) -> None:
        given = max(0, len(args) - 1)
        count = given + (final is not _NOTHING)
        want = len(function.params)
        if function.variadic:
            if count < want - 1:
                raise self._fail(f"wrong number of args for {name}: want at least {want - 1} got {given}")
        elif count != want:
            raise self._fail(f"wrong number of args for {name}: want {want} got {count}")

    def _call(
        self,
        dot: Value,
        function: Function,
        node: nodes.Operand | nodes.Command,
        name: str,
        args: Sequence[nodes.Operand],
        final: Value,
    ) -> Value:
        self._step()
        self._check_count(function, name, args, final)
        values = self._arguments(dot, function, args, final)
        try:
            result = function.call(*values)
        except (CallError, ValueError) as error:
            self._node = node
            raise self._fail(f"error calling {name}: {error}") from None
        self._made += len(result) if isinstance(result, str) else 0
        if self._made > self._limits.made_chars:
            raise self._fail(f"the template makes more than {self._limits.made_chars} characters")
        return result

    def _arguments(self, dot: Value, function: Function, args: Sequence[nodes.Operand], final: Value) -> list[Value]:
        types = function.params
        values = [self._argument(dot, arg, types[min(at, len(types) - 1)]) for at, arg in enumerate(args[1:])]
        if final is not _NOTHING:
            values.append(self._checked(final, types[min(len(values), len(types) - 1)]))
        return values

    def _argument(self, dot: Value, node: nodes.Operand, wanted: str | None) -> Value:
        self._node = node
        if isinstance(node, nodes.Dot):
            return self._checked(dot, wanted)
        if isinstance(node, nodes.Nil):
            if wanted in (ANY, ARG):
                return None
            raise self._fail(f"cannot assign nil to {wanted}")
        if isinstance(node, nodes.Field):
            return self._checked(self._chain(dot, dot, node, node.names, (), _NOTHING), wanted)
        if isinstance(node, nodes.Variable):
            return self._checked(self._variable(dot, node, (), _NOTHING), wanted)
        if isinstance(node, nodes.Pipe):
            return self._checked(self._pipe(dot, node), wanted)
        if isinstance(node, nodes.Identifier):
            return self._checked(self._function(dot, node, node, (), _NOTHING), wanted)
        if isinstance(node, nodes.Chain):
            return self._checked(self._chain_node(dot, node, (), _NOTHING), wanted)
        if wanted == "string" and not isinstance(node, nodes.String):
            raise self._fail(f"expected string; found {node}")
        return self._constant(dot, node)

    def _checked(self, value: Value, wanted: str | None) -> Value:
        """Return the value as an argument of a type; raises if it is of another one."""
        if wanted in (None, ARG):
            return value
        inner = unbox(value)
        if wanted == ANY:
            return inner
        if value is None:
            raise self._fail(f"invalid value; expected {wanted}")
        if type_of(inner if inner is not None else value) != wanted:
            got = type_of(inner if inner is not None else value)
            raise self._fail(f"wrong type for value; expected {wanted}; got {got}")
        return inner
