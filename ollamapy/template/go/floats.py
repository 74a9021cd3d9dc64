"""Go's texts of floating-point numbers.

Source: https://pkg.go.dev/strconv#FormatFloat
"""

from __future__ import annotations

import math
from decimal import Decimal


def format_float(number: float, verb: str, precision: int) -> str:
    """Format as one of b, e, E, f, g, G, x, X; a precision of -1 means as many digits as are needed."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    number = abs(number)
    if verb == "b":
        return sign + _binary(number)
    if verb in "xX":
        text = _hexadecimal(number, precision)
        return sign + (text.upper() if verb == "X" else text)
    if verb in "eE":
        return sign + _exponent(number, precision, verb)
    if verb == "f":
        return sign + (f"{number:.{precision}f}" if precision >= 0 else _plain(number))
    return sign + _general(number, precision, "e" if verb == "g" else "E")


def _digits(number: float) -> tuple[str, int]:
    """Return the shortest digits that give the number back, and the power of ten of a point in front of them."""
    _, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    text = "".join(map(str, digits))
    return text, len(text) + int(exponent) if number else 1


def _plain(number: float) -> str:
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _exponent(number: float, precision: int, letter: str) -> str:
    if precision >= 0:
        return f"{number:.{precision}{letter}}"
    digits, exponent = _digits(number)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}{letter}{exponent - 1:+03d}"


def _general(number: float, precision: int, letter: str) -> str:
    """Format as %e for exponents below -4 or from the precision (shortest: 6) on, else as %f."""
    shortest = precision < 0
    if not shortest:
        precision = precision or 1
        mantissa, _, power = f"{number:.{precision - 1}e}".partition("e")
        digits, exponent = mantissa.replace(".", "").rstrip("0") or "0", int(power) + 1
    else:
        digits, exponent = _digits(number)
    limit = 6 if shortest else precision
    if not shortest and len(digits) < limit and len(digits) >= exponent:
        limit = len(digits)
    if number and not -4 <= exponent - 1 < limit:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}{letter}{exponent - 1:+03d}"
    if exponent <= 0:
        return f"0.{'0' * -exponent}{digits}"
    if len(digits) <= exponent:
        return digits + "0" * (exponent - len(digits))
    return f"{digits[:exponent]}.{digits[exponent:]}"


def _binary(number: float) -> str:
    mantissa, exponent = math.frexp(number)
    if number == 0:
        return "0p-1074"
    whole, power = int(mantissa * (1 << 53)), exponent - 53
    if power < -1074:
        whole, power = whole >> (-1074 - power), -1074
    return f"{whole}p{power:+d}"


def _hexadecimal(number: float, precision: int) -> str:
    if number == 0:
        return f"0x0{'.' + '0' * precision if precision > 0 else ''}p+00"
    mantissa, exponent = math.frexp(number)
    whole = int(mantissa * (1 << 53))  # the leading one and 52 bits
    if 0 <= precision < 13:
        shift = (13 - precision) * 4
        rest = whole & ((1 << shift) - 1)
        whole >>= shift
        half = 1 << (shift - 1)
        whole += rest > half or (rest == half and whole & 1)
        whole <<= shift
        if whole >> 53:
            whole, exponent = whole >> 1, exponent + 1
    fraction = f"{whole & ((1 << 52) - 1):013x}"
    fraction = fraction.rstrip("0") if precision < 0 else fraction[:precision].ljust(precision, "0")
    return f"0x1{'.' + fraction if fraction else ''}p{exponent - 1:+03d}"
