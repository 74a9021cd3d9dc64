"""Go's fmt: Sprint, Sprintln and Sprintf for template values, with Go's marks for misuse such as `%!d(string=x)`.

Source: https://pkg.go.dev/fmt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ollamapy.template.go.floats import format_float
from ollamapy.template.go.literals import can_backquote, is_printable, quote
from ollamapy.template.go.values import (
    Boxed,
    Map,
    Slice,
    Struct,
    Value,
    elements,
    entries,
    from_bytes,
    kind_of,
    to_bytes,
    type_of,
    unbox,
)

MAX_CHARS = 2 << 20  # of one formatted text
MAX_WIDTH = 1_000_000  # Go's bound of a width or precision
_BASES = {"v": 10, "d": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}


def sprint(args: Sequence[Value]) -> str:
    """Format values with spaces between those of which neither is a string; raises ValueError beyond MAX_CHARS."""
    out = _Pieces()
    was_string = True
    for arg in args:
        is_string = isinstance(unbox(arg), str)
        if out.pieces and not is_string and not was_string:
            out.add(" ")
        out.add(_Printer().value(arg, "v"))
        was_string = is_string
    return "".join(out.pieces)


def sprintln(args: Sequence[Value]) -> str:
    """Format values with a space between all of them and a line break at the end; raises ValueError like sprint."""
    out = _Pieces()
    for arg in args:
        out.add(_Printer().value(arg, "v"))
    return " ".join(out.pieces) + "\n"


def sprintf(format_: str, args: Sequence[Value], check: Callable[[], None] = lambda: None) -> str:
    """Format values by a format; raises ValueError like sprint. `check` is called for each verb."""
    return _Format(format_, args, check).run()


class _Pieces:
    """Text that is being put together, of bounded size."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._chars = 0

    def add(self, text: str) -> None:
        """Add text."""
        self._chars += len(text)
        if self._chars > MAX_CHARS:
            raise ValueError(f"the text has more than {MAX_CHARS} characters")
        self.pieces.append(text)


@dataclass(slots=True)
class _Printer:
    """Flags of one verb, and the formatting of a value under them. The `_v` flags belong to %#v and %+v."""

    width: int | None = None
    precision: int | None = None
    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    plus_v: bool = False
    sharp_v: bool = False
    erroring: bool = False

    def value(self, arg: Value, verb: str, depth: int = 0) -> str:
        """Format one value."""
        if depth and isinstance(arg, Boxed) and arg.value is None:
            return "interface {}(nil)" if self.sharp_v else "<nil>"
        arg = unbox(arg)
        if arg is None:
            return self._pad("<nil>") if verb in ("T", "v") else f"%!{verb}(<nil>)"
        if verb == "T" and not depth:
            return self._pad(self._truncate(type_of(arg)))
        if verb == "p" and not depth:
            return self._bad(arg, verb)
        if verb == "w":
            return self._bad(arg, "w")
        text = getattr(arg, "text", None)
        if text is not None and verb in ("v", "s", "x", "X", "q") and not self.erroring and not self.sharp_v:
            return self._string(text(), verb)
        return self._by_kind(arg, verb, depth)

    def _by_kind(self, arg: Value, verb: str, depth: int) -> str:
        match kind_of(arg):
            case "bool":
                return self._pad("true" if arg else "false") if verb in ("t", "v") else self._bad(arg, verb)
            case "int":
                return self._integer(arg, verb, signed=True)
            case "uint":
                return self._integer(arg, verb, signed=False)
            case "float":
                return self._float(arg, verb)
            case "complex":
                return self._complex(arg, verb)
            case "string":
                return self._string(arg, verb)
            case "map":
                return self._map(arg, verb, depth)
            case "struct":
                return self._struct(arg, verb, depth)
            case "slice":
                return self._bytes(arg, verb, depth) if isinstance(arg, bytes) else self._slice(arg, verb, depth)
        return self._bad(arg, verb)

    def _bad(self, arg: Value, verb: str) -> str:
        was, self.erroring = self.erroring, True
        text = f"%!{verb}({type_of(arg)}={self.value(arg, 'v')})"
        self.erroring = was
        return text

    # ---- scalars

    def _pad(self, text: str, *, zero: bool | None = None) -> str:
        if not self.width:
            return text
        fill = "0" if (self.zero if zero is None else zero) and not self.minus else " "
        return text.ljust(self.width) if self.minus else text.rjust(self.width, fill)

    def _truncate(self, text: str) -> str:
        return text if self.precision is None else text[: self.precision]

    def _string(self, text: str, verb: str) -> str:
        if verb in ("x", "X"):
            return self._hex(to_bytes(text), verb)
        if verb == "q" or (verb == "v" and self.sharp_v):
            text = self._truncate(text)
            if self.sharp and can_backquote(text):
                return self._pad(f"`{text}`")
            return self._pad(quote(text, ascii_only=self.plus))
        if verb in ("v", "s"):
            return self._pad(self._truncate(text))
        return self._bad(text, verb)

    def _hex(self, data: bytes, verb: str) -> str:
        if self.precision is not None:
            data = data[: self.precision]
        mark = f"0{verb}" if self.sharp else ""
        digits = [f"{byte:02{verb}}" for byte in data]
        text = " ".join(mark + pair for pair in digits) if self.space else mark + "".join(digits)
        return self._pad(text if data else "")

    def _integer(self, number: int, verb: str, *, signed: bool) -> str:
        if verb == "v" and self.sharp_v and not signed:
            return self._hex_byte(number)
        if verb in _BASES:
            return self._in_base(number, verb)
        code = number if 0 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else 0xFFFD
        if verb == "c":
            return self._pad(chr(code))
        if verb == "q":
            return self._pad(quote(chr(code), ascii_only=self.plus, mark="'"))
        if verb == "U":
            return self._unicode(number)
        return self._bad(number, verb)

    def _hex_byte(self, number: int) -> str:
        was, self.sharp = self.sharp, True
        text = self._in_base(number, "x")
        self.sharp = was
        return text

    def _in_base(self, number: int, verb: str) -> str:
        base = _BASES[verb]
        letter = {2: "b", 8: "o", 10: "d", 16: "X" if verb == "X" else "x"}[base]
        sign = "-" if number < 0 else "+" if self.plus else " " if self.space else ""
        digits = f"{abs(number):{letter}}"
        if self.precision is not None:
            if self.precision == 0 and number == 0:
                return " " * (self.width or 0)
            digits = digits.rjust(self.precision, "0")
        elif self.zero and not self.minus and self.width:
            digits = digits.rjust(self.width - len(sign), "0")
        if self.sharp:
            mark = {2: "0b", 8: "" if digits.startswith("0") else "0", 10: "", 16: f"0{letter}"}[base]
            digits = mark + digits
        if verb == "O":
            digits = "0o" + digits
        return self._pad(sign + digits, zero=False)

    def _unicode(self, number: int) -> str:
        number &= (1 << 64) - 1
        text = f"U+{f'{number:X}'.rjust(max(4, self.precision or 0), '0')}"
        if self.sharp and number <= 0x10FFFF and is_printable(chr(number)):
            text += f" '{chr(number)}'"
        return self._pad(text, zero=False)

    def _float(self, number: float, verb: str) -> str:
        if verb not in ("v", "b", "g", "G", "x", "X", "f", "F", "e", "E"):
            return self._bad(number, verb)
        precision = self.precision if self.precision is not None else 6 if verb in "fFeE" else -1
        letter = {"v": "g", "F": "f"}.get(verb, verb)
        text = format_float(number, letter, precision)
        if text[0] not in "+-":
            text = f"+{text}"
        if self.space and text[0] == "+" and not self.plus:
            text = " " + text[1:]
        if text[1] in "IN":
            if text[1] == "N" and not self.space and not self.plus:
                text = text[1:]
            return self._pad(text if self.plus or text[0] != "+" else text[1:], zero=False)
        if self.sharp and verb != "b":
            text = _with_point(text, verb, precision)
        if not self.plus and text[0] == "+":
            return self._pad(text[1:])
        if self.zero and not self.minus and self.width and self.width > len(text):
            return text[0] + text[1:].rjust(self.width - 1, "0")
        return self._pad(text)

    def _complex(self, number: complex, verb: str) -> str:
        if verb not in ("v", "b", "g", "G", "x", "X", "f", "F", "e", "E"):
            return self._bad(number, verb)
        real = self._float(number.real, verb)
        was, self.plus = self.plus, True
        imaginary = self._float(number.imag, verb)
        self.plus = was
        return f"({real}{imaginary}i)"

    # ---- what holds other values

    def _bytes(self, data: bytes, verb: str, depth: int) -> str:
        if verb in ("x", "X"):
            return self._hex(data, verb)
        if verb in ("s", "q"):
            return self._string(from_bytes(data), verb)
        if self.sharp_v:
            return "[]byte{" + ", ".join(self._hex_byte(byte) for byte in data) + "}"
        return self._slice(data, verb, depth)

    def _slice(self, arg: Value, verb: str, depth: int) -> str:
        parts = [self.value(item, verb, depth + 1) for item in elements(arg)]
        if not self.sharp_v:
            return f"[{' '.join(parts)}]"
        if isinstance(arg, Slice) and arg.is_nil:
            return f"{type_of(arg)}(nil)"
        return f"{type_of(arg)}{{{', '.join(parts)}}}"

    def _map(self, arg: Value, verb: str, depth: int) -> str:
        if self.sharp_v and isinstance(arg, Map) and arg.is_nil:
            return f"{type_of(arg)}(nil)"
        parts = [f"{self.value(k, verb, depth + 1)}:{self.value(v, verb, depth + 1)}" for k, v in entries(arg)]
        return f"{type_of(arg)}{{{', '.join(parts)}}}" if self.sharp_v else f"map[{' '.join(parts)}]"

    def _struct(self, arg: Struct, verb: str, depth: int) -> str:
        named = self.plus_v or self.sharp_v
        parts = [(f"{k}:" if named else "") + self.value(v, verb, depth + 1) for k, v in arg.fields.items()]
        return f"{type_of(arg)}{{{', '.join(parts)}}}" if self.sharp_v else f"{{{' '.join(parts)}}}"


def _with_point(text: str, verb: str, precision: int) -> str:
    """Apply the `#` flag: a decimal point always, and with %g the trailing zeros."""
    digits = 0
    if verb in ("v", "g", "G", "x"):
        digits = 6 if precision == -1 else precision
    stop = next((i for i, c in enumerate(text) if c in "pP" or (c in "eE" and verb not in "xX")), len(text))
    number, tail = text[:stop], text[stop:]
    plain = number[1:].replace(".", "")
    digits -= len(plain.lstrip("0"))
    if "." not in number:
        digits -= number[1:] == "0"
        number += "."
    return number + "0" * max(0, digits) + tail


class _Format:
    """Walks a format string. Numbers of arguments in brackets count from 1."""

    def __init__(self, format_: str, args: Sequence[Value], check: Callable[[], None]) -> None:
        self._format = format_
        self._args = [unbox(arg) for arg in args]
        self._check = check
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good = True
        self._after_index = False

    def run(self) -> str:
        """Return the formatted text."""
        out = _Pieces()
        while self._at < len(self._format):
            stop = self._format.find("%", self._at)
            stop = len(self._format) if stop < 0 else stop
            out.add(self._format[self._at : stop])
            self._at = stop + 1
            if stop < len(self._format):
                self._check()
                out.add(self._verb())
        if not self._reordered and self._next < len(self._args):
            extra = [_describe(arg) for arg in self._args[self._next :]]
            out.add(f"%!(EXTRA {', '.join(extra)})")
        return "".join(out.pieces)

    def _verb(self) -> str:
        printer = _Printer()
        self._good, self._after_index = True, False
        while (flag := _FLAGS.get(self._char())) is not None:
            setattr(printer, flag, True)
            self._at += 1
        trouble = self._width(printer) + self._precision(printer)
        if not self._after_index:
            self._index()
        verb = self._char()
        self._at += 1
        if verb == "":
            return trouble + "%!(NOVERB)"
        return trouble + self._apply(printer, verb)

    def _apply(self, printer: _Printer, verb: str) -> str:
        if verb == "%":
            return "%"
        if not self._good:
            return f"%!{verb}(BADINDEX)"
        if self._next >= len(self._args):
            return f"%!{verb}(MISSING)"
        if verb in ("v", "w"):
            printer.sharp_v, printer.sharp = printer.sharp, False
            printer.plus_v, printer.plus = printer.plus, False
        arg = self._args[self._next]
        self._next += 1
        return printer.value(arg, verb)

    def _char(self) -> str:
        return self._format[self._at : self._at + 1]

    def _width(self, printer: _Printer) -> str:
        self._index()
        if self._char() == "*":
            self._at += 1
            printer.width = self._star()
            self._after_index = False
            if printer.width is None:
                return "%!(BADWIDTH)"
            if printer.width < 0:
                printer.width, printer.minus, printer.zero = -printer.width, True, False
            return ""
        printer.width = self._count()
        if self._after_index and printer.width is not None:
            self._good = False
        return ""

    def _precision(self, printer: _Printer) -> str:
        if self._char() != "." or self._at + 1 >= len(self._format):
            return ""
        self._at += 1
        if self._after_index:
            self._good = False
        self._index()
        if self._char() == "*":
            self._at += 1
            self._after_index = False
            precision = self._star()
            printer.precision = precision if precision is not None and precision >= 0 else None
            return "" if printer.precision is not None else "%!(BADPREC)"
        printer.precision = self._count() or 0
        return ""

    def _star(self) -> int | None:
        if self._next >= len(self._args):
            return None
        arg = self._args[self._next]
        self._next += 1
        return int(arg) if isinstance(arg, int) and not isinstance(arg, bool) and abs(arg) <= MAX_WIDTH else None

    def _count(self) -> int | None:
        start = self._at
        while self._char() in tuple("0123456789"):
            self._at += 1
        if start == self._at:
            return None
        if self._at - start > 7 or int(self._format[start : self._at - 1] or 0) > MAX_WIDTH:
            self._at = len(self._format)
            return None
        return int(self._format[start : self._at])

    def _index(self) -> None:
        """Take `[n]`, which names the argument to use next."""
        self._after_index = False
        if self._char() != "[":
            return
        self._reordered = True
        close = self._format.find("]", self._at)
        if close < 0 or len(self._format) - self._at < 3:
            self._good = False
            self._at += 1
            return
        text = self._format[self._at + 1 : close]
        self._at = close + 1
        is_number = text.isascii() and text.isdigit() and len(text) < 8
        if is_number and 1 <= int(text) <= len(self._args):
            self._next, self._after_index = int(text) - 1, True
            return
        self._good = False
        self._after_index = is_number


def _describe(arg: Value) -> str:
    return "<nil>" if arg is None else f"{type_of(arg)}={_Printer().value(arg, 'v')}"
