"""Grammars of forced calls, held against a tokenizer of bytes and read by the parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import llguidance
import pytest

from ollamapy.parsing import harmony
from ollamapy.parsing.answer import answer_parser
from ollamapy.parsing.call_forms import ARGUMENTS, HARMONY, IS_TEXT, KEY, NAME, VALUE, CallForm
from ollamapy.parsing.call_grammar import form_of, literal, required_call
from ollamapy.parsing.traits import read_traits
from tests.parsing.splits import same_however_cut
from tests.parsing.test_families import CASES

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
        "deep": {"type": "object"},
    },
    "required": ["city", "days"],
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "pick", "parameters": {"properties": {"a": {"type": "integer"}}}}},
]
SOURCES = sorted({f"{{% {row['template']} %}}" for row in CASES.values()} | {"{% tools %}", "{% [TOOL_CALLS] tools %}"})
HARMONY_SOURCE = "{% <|start|>assistant<|channel|>analysis %}"


def written(form: CallForm, name: str, arguments: dict[str, Any]) -> str:
    """A call in a form, as a model would write it."""
    properties = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in TOOLS}[name]
    text = json.dumps(arguments, ensure_ascii=False)
    if form.pair:
        pairs = []
        for key, value in arguments.items():
            is_text = form.quote is not None and properties[key]["type"] == "string"
            shown = f"{form.quote}{value}{form.quote}" if is_text else json.dumps(value, ensure_ascii=False)
            pairs.append(form.pair.replace(KEY, key).replace(VALUE, shown).replace(IS_TEXT, str(is_text).lower()))
        text = form.separator.join(pairs)
    return form.text.replace(NAME, name).replace(ARGUMENTS, text)


@pytest.fixture(scope="module")
def accepts() -> Callable[[str, str], bool]:
    """Whether a grammar accepts a text as a whole."""
    tokenizer = llguidance.LLTokenizer("byte")

    def check(grammar: str, text: str) -> bool:
        matcher = llguidance.LLMatcher(tokenizer, json.dumps({"grammars": [{"lark_grammar": grammar}]}), log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        return matcher.consume_tokens(tokenizer.tokenize_str(text)) and matcher.is_accepting()

    return check


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_weather", {"city": "Oslo & <b>", "days": 3}),
    ("get_weather", {"city": "Zürich", "days": 3, "unit": "kelvin"}),
    ("get_weather", {"city": "Oslo", "days": 3, "deep": {"a": [1, {"b": "c"}]}}),
    ("now", {}),
    ("pick", {"a": 1}),
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_call_in_the_familys_form_is_admitted_and_read(source: str, accepts: Callable[[str, str], bool]) -> None:
    grammar, form = required_call(source, TOOLS, {}, {}), form_of(source)
    for name, arguments in CALLS:
        text = written(form, name, arguments)
        assert accepts(grammar, text), text
        part = same_however_cut(
            lambda: answer_parser(source, prompt_tail="", think_enabled=False, tools=TOOLS, rng=Random(1)), text, [9]
        )
        assert [(call.name, dict(call.arguments)) for call in part.tool_calls] == [(name, arguments)], text
        assert part.content == ""


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_but_a_declared_call_is_admitted(source: str, accepts: Callable[[str, str], bool]) -> None:
    grammar, form = required_call(source, TOOLS, {}, {}), form_of(source)
    good = written(form, "get_weather", {"city": "Oslo", "days": 3})
    assert not accepts(grammar, good.replace("get_weather", "get_secret"))
    assert not accepts(grammar, f"Sure. {good}")
    assert not accepts(grammar, f"{good} And more.")
    assert not accepts(grammar, written(form, "get_weather", {"city": "Oslo"}))
    assert not accepts(grammar, written(form, "get_weather", {"city": "Oslo", "days": 3, "unit": "rankine"}))


def test_harmony_calls_may_follow_a_thought(accepts: Callable[[str, str], bool]) -> None:
    grammar = required_call(HARMONY_SOURCE, TOOLS, {}, {})
    text = written(HARMONY, "get_weather", {"city": "Oslo", "days": 3})
    assert accepts(grammar, text)
    parser = answer_parser(HARMONY_SOURCE, prompt_tail="", think_enabled=True, tools=TOOLS)
    assert [call.name for call in (parser.feed(text), parser.close())[1].tool_calls] == ["get_weather"]
    tokens = {mark: number for number, mark in enumerate(harmony.MARKS)}
    assert 'opening: (<[1]> "analysis" <[3]> thought <[4]> <[0]> "assistant")?' in required_call(
        HARMONY_SOURCE, TOOLS, tokens, {}, thinks=True
    )


def test_marks_that_are_tokens_are_named_by_their_number() -> None:
    assert literal('<a>"x"\n<ab>', {"<a>": 7, "<ab>": 8}) == r'<[7]> "\"x\"\n" <[8]>'
    assert literal("", {}) == ""
    grammar = required_call("{% <tool_call> <arg_key> %}", TOOLS[:1], {"<tool_call>": 1, "</arg_value>": 2}, {})
    assert '<[1]> "get_weather\\n"' in grammar
    assert ": /(?s:.*)/\n" in grammar
    assert "suffix" not in grammar


def test_the_tag_of_an_unknown_family_stands_before_the_call(accepts: Callable[[str, str], bool]) -> None:
    calls = "{{ if .ToolCalls }}CALL {{ range .ToolCalls }}{{ . }}{{ end }}{{ end }}"
    source = f"{{{{ .Tools }}}}{{{{ range .Messages }}}}{calls}{{{{ end }}}}"
    assert read_traits(source).tool_tag == "CALL"
    assert accepts(required_call(source, TOOLS, {}, {}), 'CALL{"name": "now", "arguments": {}}')
