"""Go's literals: quoting and unquoting of strings and characters, and the syntax of numbers.

Source: https://pkg.go.dev/strconv
"""

from __future__ import annotations

import re

from ollamapy.template.go.values import from_bytes, to_bytes

_SIMPLE = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}
_UNESCAPED = {escape[1]: char for char, escape in _SIMPLE.items()}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+")
_UNDERSCORE = re.compile(
    r"[+-]?(?:0[xXbBoO]_?)?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*(?:\.[0-9a-fA-F_]*)?(?:[pPeE][+-]?\d[\d_]*)?"
)


def quote(text: str, *, ascii_only: bool = False, mark: str = '"') -> str:
    """Quote a string as Go's %q does."""
    return mark + "".join(_quote_char(char, mark, ascii_only=ascii_only) for char in text) + mark


def _quote_char(char: str, mark: str, *, ascii_only: bool) -> str:
    if char == mark:
        return f"\\{char}"
    if char in _SIMPLE:
        return _SIMPLE[char]
    code = ord(char)
    if is_printable(char) and (code < 0x80 or not ascii_only):
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_printable(char: str) -> bool:
    """Return whether Go shows a character as it is; so are the marks of covered user text, which Go would escape."""
    return char.isprintable() or "\U000f0000" <= char <= "\U000ffffd"


def can_backquote(text: str) -> bool:
    """Return whether a string can be written between backquotes."""
    return not any(c in "`\x7f\ufeff" or "\ud800" <= c <= "\udfff" or (c < " " and c != "\t") for c in text)


def unquote(literal: str) -> str:
    """Return the string that a quoted or backquoted literal stands for; raises ValueError("invalid syntax")."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    body = literal[1:-1]
    if "\\" not in body:
        return body
    data = bytearray()
    at = 0
    while at < len(body):
        at = _unquote_char(body, at, '"', data)
    return from_bytes(bytes(data))


def unquote_rune(literal: str) -> int:
    """Return the code of a character literal; raises ValueError with Go's words."""
    body = literal[1:]
    if body.startswith("'"):
        raise ValueError("invalid syntax")
    data = bytearray()
    end = _unquote_char(body, 0, "'", data)
    if body[end:] != "'":
        raise ValueError(f"malformed character constant: {literal}")
    return data[0] if body.startswith(("\\x", *(f"\\{d}" for d in "0123"))) else ord(data.decode())


def _unquote_char(text: str, at: int, mark: str, data: bytearray) -> int:
    if text[at] != "\\":
        data += to_bytes(text[at])
        return at + 1
    match = _ESCAPE.match(text, at)
    if match is None:
        raise ValueError("invalid syntax")
    simple, two, four, eight, octal = match.groups()
    if simple is not None:
        if simple in "'\"" and simple != mark:
            raise ValueError("invalid syntax")
        data += _UNESCAPED.get(simple, simple).encode()
        return match.end()
    if two or octal:
        byte = int(two, 16) if two else int(octal, 8)
        if byte > 0xFF:
            raise ValueError("invalid syntax")
        data.append(byte)
        return match.end()
    code = int(four or eight, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("invalid syntax")
    data += chr(code).encode()
    return match.end()


def parse_integer(text: str) -> int | None:
    """Parse an integer in any of Go's bases; None if it is none."""
    plain = _without_underscores(text)
    match = _INTEGER.fullmatch(plain) if plain is not None else None
    if match is None or len(match[2]) > 80:
        return None
    digits = match[2]
    base = 10
    if len(digits) > 1 and digits[0] == "0":
        base = {"x": 16, "b": 2}.get(digits[1].lower(), 8)
        digits = digits[2:] if digits[1].isalpha() else digits[1:]
    return -int(digits, base) if match[1] == "-" else int(digits, base)


def parse_float(text: str) -> float | None:
    """Parse a decimal or hexadecimal floating-point number; None if it is none or too large."""
    plain = _without_underscores(text)
    if plain is None:
        return None
    try:
        if _HEX_FLOAT.fullmatch(plain):
            return float.fromhex(plain)
        number = float(plain) if _FLOAT.fullmatch(plain) else None
    except (ValueError, OverflowError):
        return None
    return None if number is not None and abs(number) == float("inf") else number


def _without_underscores(text: str) -> str | None:
    if "_" not in text:
        return text
    return text.replace("_", "") if _UNDERSCORE.fullmatch(text) else None
