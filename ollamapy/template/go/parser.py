"""Go template tokens to syntax trees; error texts are Go's.

Source: https://pkg.go.dev/text/template#hdr-Actions
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ollamapy.errors import TemplateError
from ollamapy.template.go import nodes
from ollamapy.template.go.lexer import Kind, Token, scan
from ollamapy.template.go.literals import parse_float, parse_integer, quote, unquote, unquote_rune

MAX_SOURCE_CHARS = 256 << 10
MAX_ARGUMENTS = 100  # of one command
_OPERANDS = frozenset({
    Kind.BOOL, Kind.CHAR_CONSTANT, Kind.COMPLEX, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NUMBER, Kind.STRING,
    Kind.VARIABLE, Kind.LEFT_PAREN,
})  # fmt: skip
_MAX_INT, _MIN_INT, _MAX_UINT = (1 << 63) - 1, -(1 << 63), (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ParsedTemplate:
    """A template with the ones that it defines, by name; `name` is its own."""

    name: str
    source: str
    trees: dict[str, nodes.Nodes]

    @property
    def root(self) -> nodes.Nodes:
        """The tree that is executed."""
        return self.trees[self.name]


def parse_template(source: str, functions: Collection[str], name: str = "") -> ParsedTemplate:
    """Parse a template that may call `functions`; raises TemplateError in Go's words, with the line."""
    if len(source) > MAX_SOURCE_CHARS:
        raise TemplateError(f"template: {name}: the template is longer than {MAX_SOURCE_CHARS} characters")
    shared = _Shared(name, scan(source), frozenset(functions))
    try:
        parser = _Parser(shared, name)
        parser.add(parser.parse_top())
    except RecursionError:
        raise TemplateError(f"template: {name}: actions are nested too deeply") from None
    return ParsedTemplate(name, source, shared.trees)


@dataclass(slots=True)
class _Shared:
    """What the parsers of one source share: the tokens with a cursor, and the finished trees."""

    parse_name: str
    tokens: list[Token]
    functions: frozenset[str]
    at: int = 0
    trees: dict[str, nodes.Nodes] = field(default_factory=dict)


class _Parser:
    """Parses one tree; `{{define}}` and `{{block}}` start another one on the same tokens."""

    def __init__(self, shared: _Shared, name: str) -> None:
        self._shared = shared
        self._name = name
        self._last_line = 0  # of the token that was fetched last, as Go reports it
        self._furthest = -1
        self._action_line = 0
        self._variables = ["$"]
        self._range_depth = 0

    # ---- tokens

    def _next(self) -> Token:
        shared = self._shared
        token = shared.tokens[min(shared.at, len(shared.tokens) - 1)]
        if shared.at > self._furthest:
            self._furthest, self._last_line = shared.at, token.line
        shared.at += 1
        return token

    def _peek(self) -> Token:
        token = self._next()
        self._shared.at -= 1
        return token

    def _next_word(self) -> Token:
        token = self._next()
        return self._next() if token.kind is Kind.SPACE else token

    def _peek_word(self) -> Token:
        token = self._next_word()
        self._shared.at -= 1
        return token

    def _fail(self, message: str) -> TemplateError:
        return TemplateError(f"template: {self._shared.parse_name}:{self._last_line}: {message}")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind is not Kind.ERROR:
            return self._fail(f"unexpected {token} in {context}")
        extra = ""
        if self._action_line not in (0, token.line):
            extra = f" in action started at {self._shared.parse_name}:{self._action_line}"
            if token.text.endswith(" action"):
                extra = extra.removeprefix(" in action")
        return self._fail(f"{token}{extra}")

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._next_word()
        if token.kind is not kind:
            raise self._unexpected(token, context)
        return token

    # ---- lists

    def parse_top(self) -> nodes.Nodes:
        """Parse to the end of the source."""
        root = nodes.Nodes(self._peek().pos)
        while self._peek().kind is not Kind.EOF:
            start = self._shared.at
            if self._next().kind is Kind.LEFT and self._is_word(self._next_word(), "define"):
                definition = _Parser(self._shared, "definition")
                definition.parse_definition()
                continue
            self._shared.at = start
            node = self._text_or_action()
            if isinstance(node, nodes.Mark):
                raise self._fail(f"unexpected {node}")
            root.nodes.append(node)
        return root

    def parse_definition(self) -> None:
        """Parse what follows `{{define` and file it."""
        self._name = self._string(self._next_word(), "define clause")
        self._expect(Kind.RIGHT, "define clause")
        root, end = self._list()
        if end.word != "end":
            raise self._fail(f"unexpected {end} in define clause")
        self.add(root)

    def add(self, root: nodes.Nodes) -> None:
        """File the tree under its name; an empty one gives way to one with content."""
        old = self._shared.trees.get(self._name)
        if old is None or _is_empty(old):
            self._shared.trees[self._name] = root
        elif not _is_empty(root):
            raise self._fail(f"template: multiple definition of template {quote(self._name)}")

    def _list(self) -> tuple[nodes.Nodes, nodes.Mark]:
        found = nodes.Nodes(self._peek_word().pos)
        while self._peek_word().kind is not Kind.EOF:
            node = self._text_or_action()
            if isinstance(node, nodes.Mark):
                return found, node
            found.nodes.append(node)
        raise self._fail("unexpected EOF")

    def _text_or_action(self) -> nodes.Node | nodes.Mark:
        token = self._next_word()
        if token.kind is Kind.TEXT:
            return nodes.Text(token.pos, token.text)
        if token.kind is not Kind.LEFT:
            raise self._unexpected(token, "input")
        self._action_line = token.line
        node = self._action()
        self._action_line = 0
        return node

    @staticmethod
    def _is_word(token: Token, *words: str) -> bool:
        return token.kind is Kind.KEYWORD and token.text in words

    # ---- actions

    def _action(self) -> nodes.Node | nodes.Mark:
        token = self._next_word()
        if token.kind is Kind.KEYWORD:
            match token.text:
                case "if" | "with" | "range" as word:
                    return self._branch(word)
                case "break" | "continue" as word:
                    return self._jump(token.pos, word)
                case "else":
                    return self._else()
                case "end":
                    return nodes.Mark(self._expect(Kind.RIGHT, "end").pos, "end")
                case "template":
                    return self._template()
                case "block":
                    return self._block()
        self._shared.at -= 1
        return nodes.Action(self._peek().pos, self._pipeline("command", Kind.RIGHT))

    def _jump(self, pos: int, word: str) -> nodes.Jump:
        token = self._next_word()
        if token.kind is not Kind.RIGHT:
            raise self._unexpected(token, f"{{{{{word}}}}}")
        if self._range_depth == 0:
            raise self._fail(f"{{{{{word}}}}} outside {{{{range}}}}")
        return nodes.Jump(pos, "break" if word == "break" else "continue")

    def _else(self) -> nodes.Mark:
        token = self._peek_word()
        if not self._is_word(token, "if", "with"):
            token = self._expect(Kind.RIGHT, "else")
        return nodes.Mark(token.pos, "else")

    def _branch(self, word: str) -> nodes.Branch:
        depth = len(self._variables)
        pipe = self._pipeline(word, Kind.RIGHT)
        self._range_depth += word == "range"
        body, mark = self._list()
        self._range_depth -= word == "range"
        orelse = None
        if mark.word == "else":
            if word != "range" and self._is_word(self._peek(), word):
                self._next()
                orelse = nodes.Nodes(mark.pos, [self._branch(word)])
            else:
                orelse, mark = self._list()
                if mark.word != "end":
                    raise self._fail(f"expected end; found {mark}")
        del self._variables[depth:]
        return nodes.Branch(
            pipe.pos, "if" if word == "if" else "with" if word == "with" else "range", pipe, body, orelse
        )

    def _template(self) -> nodes.TemplateCall:
        token = self._next_word()
        name = self._string(token, "template clause")
        pipe = None
        if self._next_word().kind is not Kind.RIGHT:
            self._shared.at -= 1
            pipe = self._pipeline("template clause", Kind.RIGHT)
        return nodes.TemplateCall(token.pos, name, pipe)

    def _block(self) -> nodes.TemplateCall:
        token = self._next_word()
        name = self._string(token, "block clause")
        pipe = self._pipeline("block clause", Kind.RIGHT)
        block = _Parser(self._shared, name)
        root, end = block._list()
        if end.word != "end":
            raise self._fail(f"unexpected {end} in block clause")
        block.add(root)
        return nodes.TemplateCall(token.pos, name, pipe)

    def _string(self, token: Token, context: str) -> str:
        if token.kind is not Kind.STRING:
            raise self._unexpected(token, context)
        try:
            return unquote(token.text)
        except ValueError as error:
            raise self._fail(str(error)) from None

    # ---- pipelines

    def _pipeline(self, context: str, end: Kind) -> nodes.Pipe:
        pipe = nodes.Pipe(self._peek_word().pos)
        while self._declaration(pipe, context):
            pass
        while (token := self._next_word()).kind is not end:
            if token.kind not in _OPERANDS and not self._is_word(token, "nil"):
                raise self._unexpected(token, context)
            self._shared.at -= 1
            pipe.commands.append(self._command())
        if not pipe.commands:
            raise self._fail(f"missing value for {context}")
        for stage, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.args[0], (nodes.Bool, nodes.Dot, nodes.Nil, nodes.Number, nodes.String)):
                raise self._fail(f"non executable command in pipeline stage {stage}")
        return pipe

    def _declaration(self, pipe: nodes.Pipe, context: str) -> bool:
        """Take `$x :=`, `$x =` or `$x,` if it comes next; return whether a further variable may follow."""
        variable = self._peek_word()
        if variable.kind is not Kind.VARIABLE:
            return False
        start = self._shared.at
        self._next_word()
        following = self._peek_word()
        is_comma = following.kind is Kind.CHAR and following.text == ","
        if following.kind not in (Kind.ASSIGN, Kind.DECLARE) and not is_comma:
            self._shared.at = start
            return False
        self._next_word()
        pipe.declared.append(nodes.Variable(variable.pos, (variable.text,)))
        self._variables.append(variable.text)
        if not is_comma:
            pipe.is_assignment = following.kind is Kind.ASSIGN
            return False
        if context == "range" and len(pipe.declared) < 2:
            if self._peek_word().kind in (Kind.VARIABLE, Kind.RIGHT, Kind.RIGHT_PAREN):
                return True
            raise self._fail("range can only initialize variables")
        raise self._fail(f"too many declarations in {context}")

    def _command(self) -> nodes.Command:
        command = nodes.Command(self._peek_word().pos)
        while True:
            self._peek_word()
            if (operand := self._operand()) is not None:
                command.args.append(operand)
            token = self._next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.RIGHT_PAREN):
                self._shared.at -= 1
            elif token.kind is not Kind.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not command.args:
            raise self._fail("empty command")
        if len(command.args) > MAX_ARGUMENTS:
            raise self._fail(f"more than {MAX_ARGUMENTS} arguments")
        return command

    def _operand(self) -> nodes.Operand | None:
        node = self._term()
        if node is None or self._peek().kind is not Kind.FIELD:
            return node
        pos = self._peek().pos
        fields: list[str] = []
        while self._peek().kind is Kind.FIELD:
            fields.append(self._next().text[1:])
        if isinstance(node, nodes.Field):
            return nodes.Field(pos, (*node.names, *fields))
        if isinstance(node, nodes.Variable):
            return nodes.Variable(pos, (*node.names, *fields))
        if isinstance(node, (nodes.Bool, nodes.String, nodes.Number, nodes.Nil, nodes.Dot)):
            raise self._fail(f"unexpected . after term {quote(str(node))}")
        return nodes.Chain(pos, node, tuple(fields))

    def _term(self) -> nodes.Operand | None:
        token = self._next_word()
        match token.kind:
            case Kind.DOT:
                return nodes.Dot(token.pos)
            case Kind.FIELD:
                return nodes.Field(token.pos, (token.text[1:],))
            case Kind.IDENTIFIER | Kind.VARIABLE:
                return self._name_of(token)
            case Kind.BOOL:
                return nodes.Bool(token.pos, token.text == "true")
            case Kind.CHAR_CONSTANT | Kind.COMPLEX | Kind.NUMBER:
                return self._number(token)
            case Kind.LEFT_PAREN:
                return self._pipeline("parenthesized pipeline", Kind.RIGHT_PAREN)
            case Kind.STRING:
                return nodes.String(token.pos, token.text, self._string(token, ""))
        if self._is_word(token, "nil"):
            return nodes.Nil(token.pos)
        self._shared.at -= 1
        return None

    def _name_of(self, token: Token) -> nodes.Identifier | nodes.Variable:
        if token.kind is Kind.VARIABLE:
            if token.text not in self._variables:
                raise self._fail(f"undefined variable {quote(token.text)}")
            return nodes.Variable(token.pos, (token.text,))
        if token.text not in self._shared.functions:
            raise self._fail(f"function {quote(token.text)} not defined")
        return nodes.Identifier(token.pos, token.text)

    def _number(self, token: Token) -> nodes.Number:
        try:
            return number_node(token)
        except ValueError as error:
            raise self._fail(str(error)) from None


def number_node(token: Token) -> nodes.Number:
    """Read a numeric constant as every kind of number that it can be; raises ValueError in Go's words."""
    text = token.text
    if token.kind is Kind.CHAR_CONSTANT:
        code = unquote_rune(text)
        return nodes.Number(token.pos, text, code, code, float(code))
    if text.endswith("i"):
        value = _parse_complex(text)
        if value is None:
            if token.kind is Kind.COMPLEX:
                raise ValueError("syntax error scanning complex number")
            raise ValueError(f"illegal number syntax: {quote(text)}")
        return _simplified(nodes.Number(token.pos, text, as_complex=value), value)
    whole = parse_integer(text)
    node = nodes.Number(token.pos, text)
    if whole is not None:
        node.as_int = whole if _MIN_INT <= whole <= _MAX_INT else None
        node.as_uint = whole if 0 <= whole <= _MAX_UINT and (text[0] not in "+-" or whole == 0) else None
        node.as_float = float(whole) if node.as_int is not None or node.as_uint is not None else None
    if node.as_float is None and (value_ := parse_float(text)) is not None:
        if not any(c in text for c in ".eEpP"):
            raise ValueError(f"integer overflow: {quote(text)}")
        node.as_float = value_
        _add_whole(node, value_)
    if node.as_float is None:
        raise ValueError(f"illegal number syntax: {quote(text)}")
    return node


def _simplified(node: nodes.Number, value: complex) -> nodes.Number:
    if value.imag == 0:
        node.as_float = value.real
        _add_whole(node, value.real)
    return node


def _add_whole(node: nodes.Number, value: float) -> None:
    if value.is_integer():
        node.as_int = int(value) if _MIN_INT <= value <= _MAX_INT else None
        node.as_uint = int(value) if 0 <= value <= _MAX_UINT else None


def _parse_complex(text: str) -> complex | None:
    """Parse `2i` or `1+2i`."""
    split = max(text.rfind("+"), text.rfind("-"))
    if split > 0 and text[split - 1] in "eEpP":
        split = max(text.rfind("+", 0, split), text.rfind("-", 0, split))
    real = parse_float(text[:split]) if split > 0 else 0.0
    imaginary = parse_float(text[max(split, 0) : -1])
    return None if real is None or imaginary is None else complex(real, imaginary)


def _is_empty(node: nodes.Node) -> bool:
    """Return whether a tree holds nothing but space."""
    if isinstance(node, nodes.Nodes):
        return all(_is_empty(child) for child in node.nodes)
    return isinstance(node, nodes.Text) and not node.text.strip()
