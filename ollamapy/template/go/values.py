"""The values that a Go template computes with: Python values, and records for what Python has no word for.

str, bool, int, float, complex, list (`[]interface {}`) and dict (`map[string]interface {}`) stand for themselves.
`Boxed` marks a value whose static type is an interface, as the elements of lists and dicts have: Go's error messages
and its nil depend on it. None is Go's invalid value; `Boxed(None)` is a nil interface.

Source: https://pkg.go.dev/text/template and https://pkg.go.dev/reflect
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Value = Any  # one of the kinds below

Kind = Literal["invalid", "bool", "int", "uint", "float", "complex", "string", "slice", "map", "struct", "func"]
BASIC_KINDS = frozenset({"bool", "int", "uint", "float", "complex", "string"})


class Byte(int):
    """Go's uint8: what indexing a string gives."""


@dataclass(frozen=True, slots=True)
class Boxed:
    """A value that was stored as `interface {}`; never holds another one."""

    value: Value


@dataclass(frozen=True, slots=True)
class Function:
    """Something that a template can call. `params` are Go types; the last one repeats if `variadic`.

    The type `reflect.Value` takes anything as it is, `interface {}` anything unboxed.
    """

    params: tuple[str, ...]
    call: Callable[..., Value]
    variadic: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A Go struct, or a pointer to one; `text` is its String method, `json` what its JSON holds."""

    type_name: str
    fields: Mapping[str, Value]
    json: Mapping[str, Value] = field(default_factory=dict)
    methods: Mapping[str, Function] = field(default_factory=dict)
    text: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A typed slice, whose elements are not boxed."""

    type_name: str
    items: Sequence[Value]
    text: Callable[[], str] | None = None
    is_nil: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A typed map with string keys; its elements are boxed if their type is `interface {}`."""

    type_name: str
    items: Mapping[str, Value]
    text: Callable[[], str] | None = None
    is_nil: bool = False

    @property
    def holds_any(self) -> bool:
        """Whether the elements are interfaces."""
        return self.type_name.endswith("]interface {}") or self.type_name == "api.ToolCallFunctionArguments"


def unbox(value: Value) -> Value:
    """Forget that a value was an interface."""
    return value.value if type(value) is Boxed else value


def kind_of(value: Value) -> Kind:
    """Return the Go kind of an unboxed value."""
    if value is None:
        return "invalid"
    kind = _KINDS.get(type(value))
    if kind is None:
        raise TypeError(f"{type(value).__name__} is not a template value")
    return kind


def type_of(value: Value) -> str:
    """Return Go's name of a value's type; that of a boxed one is its static type."""
    if isinstance(value, Boxed):
        return "interface {}"
    if isinstance(value, (Struct, Slice, Map)):
        return value.type_name
    if isinstance(value, Function):
        return f"func({', '.join(value.params)}) interface {{}}"
    return _TYPE_NAMES[type(value)]


def length_of(value: Value) -> int:
    """Return the length of a string (in bytes), slice or map."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(to_bytes(value))
    return len(value.items) if isinstance(value, (Slice, Map)) else len(value)


def elements(value: Value) -> Sequence[Value]:
    """Return the elements of a slice, boxed where their static type is an interface."""
    if isinstance(value, Slice):
        return value.items
    if isinstance(value, bytes):
        return [Byte(byte) for byte in value]
    return [Boxed(item) for item in value]


def entries(value: Value) -> Iterator[tuple[str, Value]]:
    """Yield the entries of a map in the order of their keys' bytes."""
    items = value.items if isinstance(value, Map) else value
    boxed = not isinstance(value, Map) or value.holds_any
    for key in sorted(items, key=to_bytes):
        yield key, Boxed(items[key]) if boxed else items[key]


def lookup(value: Value, key: str) -> Value:
    """Return a map's element, or the zero of its element type."""
    items = value.items if isinstance(value, Map) else value
    if isinstance(value, Map) and not value.holds_any:
        return items.get(key)
    return Boxed(items.get(key))


def is_true(value: Value) -> bool:
    """Return Go's truth: not the zero of its type; structs are always true."""
    value = unbox(value)
    if isinstance(value, (Slice, Map)):
        return bool(value.items)
    return True if isinstance(value, (Struct, Function)) else bool(value)


def is_nil(value: Value) -> bool:
    """Return whether a value is nil of its type."""
    return value is None or (isinstance(value, (Slice, Map)) and value.is_nil)


def to_bytes(text: str) -> bytes:
    """Encode a Go string: UTF-8, with stray bytes as surrogate escapes; other lone surrogates become U+FFFD."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text).encode()


def from_bytes(data: bytes) -> str:
    """Decode the bytes of a Go string."""
    return data.decode("utf-8", "surrogateescape")


_KINDS: dict[type, Kind] = {
    bool: "bool", int: "int", Byte: "uint", float: "float", complex: "complex", str: "string", list: "slice",
    tuple: "slice", bytes: "slice", Slice: "slice", dict: "map", Map: "map", Struct: "struct", Function: "func",
}  # fmt: skip
_TYPE_NAMES: dict[type, str] = {
    bool: "bool", int: "int", Byte: "uint8", float: "float64", complex: "complex128", str: "string",
    list: "[]interface {}", tuple: "[]interface {}", bytes: "[]uint8", dict: "map[string]interface {}",
}  # fmt: skip
