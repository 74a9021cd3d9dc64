"""The grammar that admits one call of a request's tools and nothing else, in the syntax of the model's family.

Source: llguidance's variant of Lark, with `%json` for JSON schemas and `<[id]>` for tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ollamapy.parsing.call_forms import ARGUMENTS, HARMONY, IS_TEXT, KEY, NAME, RECIPIENT, VALUE, XTML, CallForm
from ollamapy.parsing.schema import enforced
from ollamapy.parsing.tool_calls import find_form
from ollamapy.parsing.traits import read_traits
from ollamapy.types import Json

_PLACES = re.compile(f"{NAME}|{ARGUMENTS}|{KEY}|{VALUE}|{IS_TEXT}")
_SHARED = ("$defs", "definitions")


def required_call(
    template_source: str,
    tools: Sequence[Mapping[str, Json]],
    tokens: Mapping[str, int],
    guidance: Mapping[str, Json],
    *,
    thinks: bool = False,
) -> str:
    """Return the grammar of one call of one of the tools, as the template's model writes it.

    `tokens` holds those of `answer_marks` that the vocabulary has a token for; `guidance` is llguidance's `x-guidance`.
    With `thinks` a thought may come first where that is part of the syntax (Harmony).
    """
    opening = ""
    if thinks and read_traits(template_source).is_harmony:
        opening = _harmony_thought(tokens)
    return call_grammar(form_of(template_source), tools, tokens, guidance, opening)


def form_of(template_source: str) -> CallForm:
    """Return how the template's model writes a call."""
    traits = read_traits(template_source)
    if traits.is_harmony:
        return HARMONY
    if traits.is_xtml:
        return XTML
    return RECIPIENT if traits.names_recipients else find_form(template_source, traits.tool_tag)


def _harmony_thought(tokens: Mapping[str, int]) -> str:
    if "<|end|>" not in tokens:
        return ""
    before, after = literal("<|channel|>analysis<|message|>", tokens), literal("<|end|><|start|>assistant", tokens)
    return f"opening: ({before} thought {after})?\nthought: /(?s:.*)/"


def call_grammar(
    form: CallForm,
    tools: Sequence[Mapping[str, Json]],
    tokens: Mapping[str, int],
    guidance: Mapping[str, Json],
    opening: str = "",
) -> str:
    """Return the grammar of one call in a form; `opening` may hold the rules of what comes before, in that name."""
    rules = _Rules(form, tokens, guidance)
    names = [rules.call(tool["function"]) for tool in tools]
    start = f"start: {'opening ' if opening else ''}({' | '.join(names)})"
    return "\n".join([start, *([opening] if opening else []), *rules.lines])


def literal(text: str, tokens: Mapping[str, int]) -> str:
    """Return a text in Lark's notation, the marks in it as their tokens."""
    marks = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    parts = re.split(f"({marks})", text) if marks else [text]
    return " ".join(f"<[{tokens[part]}]>" if part in tokens else _quoted(part) for part in parts if part)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class _Rules:
    def __init__(self, form: CallForm, tokens: Mapping[str, int], guidance: Mapping[str, Json]) -> None:
        self._form = form
        self._tokens = tokens
        self._guidance = guidance
        self.lines: list[str] = []

    def call(self, function: Mapping[str, Json]) -> str:
        """Add the rules of one function's call; return the name of the first."""
        schema = function.get("parameters")
        schema = enforced(schema) if isinstance(schema, dict) else {}
        rule = f"call{len(self.lines)}"
        self.lines.append("")
        at = len(self.lines) - 1
        arguments = self._pairs(schema) if self._form.pair else self._json({**schema, "type": "object"})
        # a name may itself be JSON text, where it needs no quotes around it
        name = json.dumps(function["name"])[1:-1] if f'"{NAME}"' in self._form.text else function["name"]
        self.lines[at] = f"{rule}: {self._fill(self._form.text, {NAME: name, ARGUMENTS: (arguments,)})}"
        return rule

    def _fill(self, text: str, values: Mapping[str, str | tuple[str]]) -> str:
        """Return a text in Lark's notation; a value in a tuple is already written in it."""
        parts: list[str] = []
        pending = ""
        at = 0
        for place in _PLACES.finditer(text):
            pending += text[at : place.start()]
            value = values[place[0]]
            if isinstance(value, str):
                pending += value
            else:
                parts += [literal(pending, self._tokens), *value]
                pending = ""
            at = place.end()
        parts.append(literal(pending + text[at:], self._tokens))
        return " ".join(part for part in parts if part)

    def _add(self, body: str, attribute: str = "") -> str:
        name = f"rule{len(self.lines)}"
        self.lines.append(f"{name}{attribute}: {body}")
        return name

    def _json(self, schema: Mapping[str, Json]) -> str:
        return self._add(f"%json {json.dumps({**schema, 'x-guidance': self._guidance}, ensure_ascii=False)}")

    def _pairs(self, schema: Mapping[str, Json]) -> str:
        """Return the rules of arguments in the order of their declaration, those that must be given first."""
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        shared = {key: schema[key] for key in _SHARED if key in schema}
        given = schema.get("required")
        needed = [key for key in properties if isinstance(given, list) and key in given]
        pairs = {key: self._pair(key, properties[key], shared) for key in properties}
        between = f"{literal(self._form.separator, self._tokens)} " if self._form.separator else ""
        rest = [f"({between}{pairs[key]})?" for key in properties if key not in needed]
        if needed:
            return self._add(" ".join([between.join(f"{pairs[key]} " for key in needed), *rest]))
        options = [key for key in properties if key not in needed]
        chains = [" ".join([pairs[key], *rest[index + 1 :]]) for index, key in enumerate(options)]
        return self._add(f"({' | '.join(chains)})?" if chains else '""')

    def _pair(self, key: str, schema: Json, shared: Mapping[str, Json]) -> str:
        schema = schema if isinstance(schema, dict) else {}
        is_text = schema.get("type") == "string" and self._form.quote is not None
        values: dict[str, str | tuple[str]] = {KEY: key, IS_TEXT: "true" if is_text else "false"}
        if not is_text:
            return self._add(self._fill(self._form.pair, {**values, VALUE: (self._json({**schema, **shared}),)}))
        quote = self._form.quote or ""
        head, _, tail = self._form.pair.replace(KEY, key).partition(VALUE)
        options = schema.get("enum")
        if isinstance(options, list) and options and all(isinstance(option, str) for option in options):
            texts = [self._fill(self._form.pair, {**values, VALUE: f"{quote}{option}{quote}"}) for option in options]
            return self._add(" | ".join(texts))
        return self._add(f"{self._fill(head + quote, values)} {self._text_until(quote + tail)}")

    def _text_until(self, tail: str) -> str:
        """Return rules for any text up to the next `tail`, which ends it, and the tail."""
        mark = next((mark for mark in self._tokens if tail.startswith(mark)), None)
        if mark is not None:
            return f"{self._add('/(?s:.*)/')} {literal(tail, self._tokens)}"
        end = next((tail[: tail.index(mark)] for mark in self._tokens if mark in tail), tail) or tail
        rule = self._add("/(?s:.*)/", f"[suffix={_quoted(end)}]")
        return " ".join(part for part in (rule, literal(tail[len(end) :], self._tokens)) if part)
