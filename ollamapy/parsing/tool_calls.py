"""The tool stage: which tool-call syntaxes an answer may hold, told by the chat template's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from ollamapy.parsing import call_forms as forms
from ollamapy.parsing.blocks import BlockParser, Syntax
from ollamapy.parsing.call_forms import CallForm, json_form
from ollamapy.parsing.call_stream import json_head
from ollamapy.parsing.calls import Found, read_calls, read_values
from ollamapy.parsing.gemma_calls import read_gemma
from ollamapy.parsing.named_calls import (
    deepseek_head,
    kimi_head,
    mistral_head,
    read_deepseek,
    read_fenced,
    read_kimi,
    read_mistral,
    read_solar,
    solar_head,
)
from ollamapy.parsing.python_calls import read_python
from ollamapy.parsing.schemas import Declared, read_declared
from ollamapy.parsing.xml_calls import (
    MINIMAX_MARK,
    function_head,
    read_function_tail,
    read_functions,
    read_hunyuan,
    read_minimax,
    read_named_function_tail,
    read_tagged,
)
from ollamapy.types import Json

Family = Callable[[Declared], list[Syntax]]


def tool_parser(
    template_source: str, tools: Sequence[Mapping[str, Json]], rng: Random, tag: str | None = None
) -> BlockParser:
    """Build the parser of the family that the template belongs to; of `tag`, if the family is unknown."""
    return BlockParser(find_syntaxes(template_source, read_declared(tools), tag), rng)


def find_form(template_source: str, tag: str | None = None) -> CallForm:
    """Return how the family that the template belongs to writes a call."""
    template_source = spell_out(template_source)
    for marks, _, form in _FAMILIES:
        if all(mark in template_source for mark in marks):
            return form if isinstance(form, CallForm) else form(template_source)
    return forms.generic_form(tag or "{")


def find_syntaxes(template_source: str, declared: Declared, tag: str | None = None) -> list[Syntax]:
    """Return the syntaxes of the first family whose marks the template has."""
    template_source = spell_out(template_source)
    for marks, family, _ in _FAMILIES:
        if all(mark in template_source for mark in marks):
            return family(declared)
    return generic_syntaxes(tag or "{", declared)


def spell_out(template_source: str) -> str:
    """Return Hunyuan's template with the suffix of its tags in place, any other as it stands."""
    suffix = _TAG_SUFFIX.search(template_source)
    return template_source.replace("{}", suffix[1]) if suffix else template_source


def tool_marks(template_source: str) -> tuple[str, ...]:
    """Return the texts around and within calls, which a tokenizer may hold as control tokens."""
    template_source = spell_out(template_source)
    syntaxes = [syntax for syntax in find_syntaxes(template_source, {}) if not syntax.bare]
    marks = [mark for syntax in syntaxes for mark in (syntax.open, syntax.close) if mark]
    return (*marks, *(mark for mark in _INNER_MARKS if mark in template_source))


def generic_syntaxes(tag: str, declared: Declared) -> list[Syntax]:
    """Return the syntax of an inferred tag: the first balanced JSON after it; bare JSON where an answer begins."""
    if tag in ("{", "["):
        return _bare(declared)
    close = "```" if "```" in tag else ""
    tag = tag.rstrip().removesuffix("[").rstrip() or tag
    read = partial(_read_generic, declared=declared)
    return [Syntax(tag, close, read, strings=True, head=json_head), *_bare(declared)]


def _read_generic(body: str, declared: Declared) -> list[Found] | None:
    """Read `name {arguments}` or any JSON shape of a call, with chatter before the JSON."""
    start = min((at for at in (body.find("{"), body.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    named = next((name for name in declared if name in body[:start]), None)
    found = read_calls(body[start:], declared, strict=named is not None)
    if found or named is None:
        return found
    values = read_values(body[start:]) or []
    return [Found(named, values[0])] if len(values) == 1 and isinstance(values[0], dict) else None


def _bare(declared: Declared) -> list[Syntax]:
    read, head = partial(read_calls, declared=declared, strict=True), partial(json_head, declared=declared)
    return [Syntax(bracket, "", read, bare=True, head=head) for bracket in "{["]


def _tagged(declared: Declared) -> list[Syntax]:
    read = partial(read_tagged, declared=declared)
    return [Syntax("<tool_call>", "</tool_call>", read, strings=True, head=json_head)]


def _functions(declared: Declared) -> list[Syntax]:
    # Qwen3-Coder often leaves the outer tag out, but not its end
    bare = Syntax("<function=", "</function>", partial(read_function_tail, declared=declared), head=function_head)
    return [*_tagged(declared), bare, Syntax.dropped("</tool_call>")]


def _json_between(open_: str, close: str) -> Family:
    def syntaxes(declared: Declared) -> list[Syntax]:
        return [Syntax(open_, close, partial(read_fenced, declared=declared), strings=True, head=json_head)]

    return syntaxes


def _functions_between(open_: str, close: str) -> Family:
    def syntaxes(declared: Declared) -> list[Syntax]:
        return [Syntax(open_, close, partial(read_functions, declared=declared))]

    return syntaxes


def _mistral(declared: Declared) -> list[Syntax]:
    return [Syntax("[TOOL_CALLS]", "", partial(read_mistral, declared=declared), head=mistral_head)]


def _deepseek(_: Declared) -> list[Syntax]:
    call = Syntax("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", read_deepseek, strings=True, head=deepseek_head)
    return [call, Syntax.dropped("<｜tool▁calls▁begin｜>"), Syntax.dropped("<｜tool▁calls▁end｜>")]


def _kimi(_: Declared) -> list[Syntax]:
    call = Syntax("<|tool_call_begin|>", "<|tool_call_end|>", read_kimi, strings=True, head=kimi_head)
    return [call, Syntax.dropped("<|tool_calls_section_begin|>"), Syntax.dropped("<|tool_calls_section_end|>")]


def _solar(_: Declared) -> list[Syntax]:
    call = Syntax("<|tool_call:begin|>", "<|tool_call:end|>", read_solar, strings=True, head=solar_head)
    return [call, Syntax.dropped("<|tool_calls|>"), Syntax.dropped("<|calls|>")]


def _gigachat(declared: Declared) -> list[Syntax]:
    call = Syntax("function call<|role_sep|>\n", "", partial(read_calls, declared=declared), head=json_head)
    return [call, Syntax.dropped("<|message_sep|>")]


def _hunyuan(declared: Declared) -> list[Syntax]:
    call = Syntax("<tool_call:opensource>", "</tool_call:opensource>", partial(read_hunyuan, declared=declared))
    return [call, Syntax.dropped("<tool_calls:opensource>"), Syntax.dropped("</tool_calls:opensource>")]


def _minimax_3(declared: Declared) -> list[Syntax]:
    open_, close = f"{MINIMAX_MARK}<tool_call>", f"{MINIMAX_MARK}</tool_call>"
    return [Syntax(open_, close, partial(read_minimax, declared=declared))]


def _minicpm(declared: Declared) -> list[Syntax]:
    return [Syntax("<function name=", "</function>", partial(read_named_function_tail, declared=declared))]


def _llama(declared: Declared) -> list[Syntax]:
    return [Syntax("<|python_tag|>", "", partial(read_calls, declared=declared), head=json_head), *_bare(declared)]


def _command_r(declared: Declared) -> list[Syntax]:
    read = partial(read_calls, declared=declared)
    return [Syntax(f"Action:{gap}```json", "```", read, strings=True, head=json_head) for gap in "\n "]


def _cohere(declared: Declared) -> list[Syntax]:
    drops = [Syntax.dropped(f"<|{edge}_RESPONSE|>") for edge in ("START", "END")]
    return [*_json_between("<|START_ACTION|>", "<|END_ACTION|>")(declared), *drops]


def _gemma(_: Declared) -> list[Syntax]:
    return [Syntax("<|tool_call>", "<tool_call|>", read_gemma)]


def _function_gemma(_: Declared) -> list[Syntax]:
    return [Syntax("<start_function_call>", "<end_function_call>", read_gemma)]


def _lfm(declared: Declared) -> list[Syntax]:
    def read(body: str) -> list[Found] | None:
        return read_python(body) or read_calls(body, declared)

    return [Syntax("<|tool_call_start|>", "<|tool_call_end|>", read, head=json_head)]


def _olmo(_: Declared) -> list[Syntax]:
    return [Syntax("<function_calls>", "</function_calls>", read_python)]


def _json_after(open_: str) -> Family:
    def syntaxes(declared: Declared) -> list[Syntax]:
        return [Syntax(open_, "", partial(read_calls, declared=declared), head=json_head), *_bare(declared)]

    return syntaxes


_TAG_SUFFIX = re.compile(r"set HYTK = '([^']*)'")
_INNER_MARKS = (
    "[ARGS]", "[CALL_ID]", "<｜tool▁sep｜>", "<|tool_call_argument_begin|>", '<|"|>', "<escape>",
    "<|tool_call:name|>", "<|tool_call:args|>", "<|message_sep|>", "<|role_sep|>", "<tool_sep:opensource>",
    "<arg_key:opensource>", "</arg_key:opensource>", "<arg_value:opensource>", "</arg_value:opensource>",
    "]<]minimax[>[", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
)  # fmt: skip

# The first row whose marks all stand in the template decides: how calls are read, and how one is written.
_FAMILIES: tuple[tuple[tuple[str, ...], Family, CallForm | Callable[[str], CallForm]], ...] = (
    (("｜DSML｜", "tool_calls>"), _functions_between("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"), forms.DSML),
    (("｜DSML｜",), _functions_between("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"), forms.OLDER_DSML),
    (("tool▁call▁begin",), _deepseek, forms.deepseek_form),
    (("<|tool_call_begin|>",), _kimi, forms.KIMI),
    (("[TOOL_CALLS]",), _mistral, forms.mistral_form),
    (("<tool_call:opensource>",), _hunyuan, forms.HUNYUAN),
    ((MINIMAX_MARK,), _minimax_3, forms.MINIMAX_3),
    (("<minimax:tool_call>",), _functions_between("<minimax:tool_call>", "</minimax:tool_call>"), forms.MINIMAX),
    (("<seed:tool_call>",), _functions_between("<seed:tool_call>", "</seed:tool_call>"), forms.SEED),
    (("<atem:function_calls>",), _functions_between("<atem:function_calls>", "</atem:function_calls>"), forms.ATEM),
    (("<|tool_call_start|>",), _lfm, forms.LFM),
    (("<|tool_list_start|>",), _lfm, forms.LFM),
    (("<|tool_call:begin|>",), _solar, forms.SOLAR),
    (("<|tools_prefix|>",), _json_between("<|tools_prefix|>", "<|tools_suffix|>"), forms.APERTUS),
    (("<|function_call|>",), _json_after("<|function_call|>"), json_form("<|function_call|>")),
    (("function call", "<|role_sep|>"), _gigachat, forms.GIGACHAT),
    (("<|tool_call>",), _gemma, forms.GEMMA),
    (("<start_function_call>",), _function_gemma, forms.FUNCTION_GEMMA),
    (("<|START_ACTION|>",), _cohere, forms.COHERE),
    (("<TOOLCALL>",), _json_between("<TOOLCALL>", "</TOOLCALL>"), json_form("<TOOLCALL>[", "]</TOOLCALL>")),
    (
        ("<tool_calls>", "</tool_calls>"),
        _json_between("<tool_calls>", "</tool_calls>"),
        json_form("<tool_calls>[", "]</tool_calls>"),
    ),
    (("<|tool_call|>",), _json_after("<|tool_call|>"), json_form("<|tool_call|>[", "]")),
    (("<function_calls>",), _olmo, forms.OLMO),
    (("<function name=", "<param name="), _minicpm, forms.MINICPM),
    (("<function=",), _functions, forms.function_form),
    (("<tool_call>",), _tagged, forms.tagged_form),
    (("functools[",), _json_after("functools"), json_form("functools[", "]")),
    (("```json", "Action:"), _command_r, forms.COMMAND_R),
    (("<|python_tag|>",), _llama, forms.LLAMA),
)
