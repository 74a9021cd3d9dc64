"""Turns a GBNF grammar into one of llguidance's Lark that allows the same texts, no more and no less.

llguidance cuts a text into lexemes first, each as long as can be, and never goes back. So a lexeme is one character
here, unless nothing is lost by longer ones: where no rule refers to itself, the whole grammar is one lexeme; elsewhere
runs of a class of characters are, where they can't be mistaken.
Source: llguidance's `docs/syntax.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ollamapy.parsing.gbnf import Chain, Chars, Choice, Part, Ranges, Ref, Repeat, parse_gbnf
from ollamapy.parsing.gbnf_facts import ROOT, check_rules, is_recursive, used_rules
from ollamapy.parsing.gbnf_runs import find_runs

SURROGATES = (0xD800, 0xDFFF)  # no text has them


def gbnf_to_lark(text: str) -> str:
    """Return the same grammar in Lark; raises InvalidInputError for one that is malformed or can't be held to."""
    rules = used_rules(parse_gbnf(text))
    check_rules(rules)
    recursive = is_recursive(rules)
    names = {name: f"r{number}" if recursive else f"R{number}" for number, name in enumerate(rules)}
    writer = _Writer(names, find_runs(rules) if recursive else frozenset())
    lines = [f"{names[name]}: {writer.write(part)}" for name, part in rules.items()]
    return "\n".join([f"start: {names[ROOT]}", *lines, ""])


@dataclass(frozen=True, slots=True)
class _Writer:
    names: Mapping[str, str]
    runs: frozenset[Chars]

    def write(self, part: Part) -> str:
        match part:
            case Chars(ranges):
                return _class(ranges, "+" if part in self.runs else "")
            case Ref(name):
                return self.names[name]
            case Chain(parts):
                return " ".join(map(self._grouped, parts)) or '""'
            case Choice(options):
                return " | ".join(map(self.write, options))
            case Repeat(inner, low, high):
                return f"{self._grouped(inner)}{_bounds(low, high)}" if high != 0 else '""'

    def _grouped(self, part: Part) -> str:
        is_plain = isinstance(part, Ref) or (isinstance(part, Chars) and part not in self.runs)
        return self.write(part) if is_plain else f"({self.write(part)})"


def _bounds(low: int, high: int | None) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    return signs.get((low, high)) or f"{{{low},{'' if high is None else high}}}"


def _class(ranges: Ranges, suffix: str) -> str:
    body = ""
    for low, high in ranges:
        for start, end in ((low, min(high, SURROGATES[0] - 1)), (max(low, SURROGATES[1] + 1), high)):
            if start <= end:
                body += f"\\x{{{start:X}}}-\\x{{{end:X}}}" if start < end else f"\\x{{{start:X}}}"
    return f"/[{body}]{suffix}/"
