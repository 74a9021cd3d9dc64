"""Chat templates read Jinja as Hugging Face's `apply_chat_template` sets it up."""

# ruff: noqa: E501  one template a line

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ollamapy.errors import TemplateError
from ollamapy.template.jinja import MAX_SOURCE_CHARS, MAX_SOURCE_TOKENS, JinjaTemplate
from ollamapy.template.sandbox import date_formatter


def render(source: str, **variables: Any) -> str:
    return JinjaTemplate(source).render(variables)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
        ("{%- for i in range(5) -%}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "02"),
        ("a{% generation %}{{ 1 }}{% endgeneration %}b", "a1b"),
        ("{{ {'b': 'é<', 'a': [1, none, true, 0.5]}|tojson }}", '{"b": "é<", "a": [1, null, true, 0.5]}'),
        ("{{ {'a': [1]}|tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
        ("{{ {'b': 1, 'a': 'é'}|tojson(ensure_ascii=True, sort_keys=true, separators=(',', ':')) }}", '{"a":"\\u00e9","b":1}'),
        ("{{ '<' ~ 1 ~ none ~ missing ~ '>' }}", "<1None>"),
        ("{{ 'a' + 'b' * 2 }}{{ '%s-%03d' % ('x', 7) }}{{ 7 % 4 }}{{ 2 ** 5 }}", "abbx-007332"),
        ("{{ '{}-{k!r:>5}'.format(1, k='x') }}", "1-  'x'"),
        ("{{ ' a\\n'|trim }}{{ 'xax'|trim('x') }}{{ ' b '.strip() }}", "aab"),
        ("{{ 'a b</think>\\nc'.split('</think>')[-1].lstrip('\\n') }}", "c"),
        ("{{ ['a', 1]|join(', ') }}{{ [{'n': 'x'}]|map(attribute='n')|list }}", "a, 1['x']"),
        ("{{ [{'r': 'u'}, {'r': 'a'}]|selectattr('r', 'equalto', 'a')|list|length }}", "1"),
        ("{{ {'k': 'v'}|items|list }}{{ {'b': 1, 'a': 2}|dictsort }}", "[('k', 'v')][('a', 2), ('b', 1)]"),
        ("{{ [3, 1, 2]|sort|first }}{{ [1, 2]|last }}{{ [1, 1]|unique|list }}{{ [1, 2]|sum }}{{ [4, 2]|max }}", "12[1]34"),
        ("{{ 'a\\nb'|indent(2, true) }}|{{ 'ab'|replace('b', 'c') }}|{{ 'ab'|upper }}|{{ 'x'|center(3) }}", "  a\n  b|ac|AB| x "),
        ("{{ '<b>'|safe + '<i>' }}{{ '<'|e }}{{ [1, 2, 3]|batch(2)|list }}{{ 2.5|round|int }}", "<b><i>&lt;[[1, 2], [3]]2"),
        ("{{ d.items() | list }}{{ d.get('x', 'no') }}{{ d['k'] }}{{ d.k }}{{ 'k' in d }}", "[('k', 1)]no11True"),
        ("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ ns.m is defined }}", "3False"),
        ("{% macro m(a, b='x') %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }}{% call m(2) %}c{% endcall %}", "1x2xc"),
        ("{% set q = [] %}{% set _ = q.append('id') %}{{ q.pop(0) }}{{ q|length }}", "id0"),
        ("{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}", "1/2,2/2"),
        ("{% for n in [{'c': [{'c': []}]}] recursive %}<{{ loop(n.c) }}>{% endfor %}", "<<>>"),
        ("{% filter upper %}a{{ 'b' }}{% endfilter %}{% set x %}c{{ 1 }}{% endset %}{{ x }}", "ABc1"),
        ("{{ 'abc'[1:] }}{{ [1, 2, 3][::-1] }}{{ 'abc'[0] }}", "bc[3, 2, 1]a"),
        ("{{ x is defined }}{{ none is none }}{{ {} is mapping }}{{ 'a' is string }}{{ [] is iterable }}{{ 1 is in [1] }}", "FalseTrueTrueTrueTrueTrue"),
        ("{{ '{\"a\": [1]}'|from_json }}", "{'a': [1]}"),
    ],
)  # fmt: skip
def test_renders_as_hugging_face_does(source: str, text: str) -> None:
    assert render(source, d={"k": 1}) == text


def test_a_key_wins_over_a_method_that_templates_may_not_call() -> None:
    assert render("{{ d.update }}{{ d.pop }}", d={"update": 1, "pop": 2}) == "12"


def test_the_date_is_what_the_caller_says() -> None:
    strftime_now = date_formatter(datetime(2025, 3, 9, 8, 5, tzinfo=UTC))
    assert render("{{ strftime_now('%d %b %Y') }}", strftime_now=strftime_now) == "09 Mar 2025"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% if %}", "the chat template does not parse: Expected an expression"),
        ("{{ 1 | nofilter }}", "the chat template does not parse: No filter named 'nofilter'. in line 1"),
        ("\n{{ a", "in line 2"),
        ("{% include 'x' %}", "{% include %} in line 1, which is not supported"),
        ("{% import 'x' as y %}", "{% import %}"),
        ("{% from 'x' import y %}", "{% import %}"),
        ("{% extends 'x' %}", "{% extends %}"),
        ("{% autoescape true %}{% endautoescape %}", "{% autoescape %}"),
        ("x" * (MAX_SOURCE_CHARS + 1), f"more than {MAX_SOURCE_CHARS} characters"),
        ("{{a}}" * MAX_SOURCE_TOKENS, f"more than {MAX_SOURCE_TOKENS} tokens"),
        ("{% if a %}" * 150 + "{% endif %}" * 150, "nested too deeply"),
        ("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", "nested too deeply"),
    ],
)
def test_refuses_to_compile(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        JinjaTemplate(source)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('no system role') }}", "the model's chat template refuses this chat: no system role"),
        ("{{ missing.field }}", "the chat template failed: 'missing' is undefined"),
        ("{{ 1 // 0 }}", "the chat template failed: "),
        ("{{ 'a' + 1 }}", "the chat template failed: can only concatenate str"),
        ("{{ {}.x.y }}", "the chat template failed: 'dict object' has no attribute 'x'"),
        ("{{ '%d' % 'x' }}", "the chat template failed: "),
        ("{{ '{0'.format(1) }}", "the chat template failed: "),
        ("{{ missing() }}", "the chat template failed: 'missing' is undefined"),
        ("{{ 'x'|from_json }}", "the chat template failed: "),
        ("{{ namespace() }}", "the chat template prints a namespace"),
        ("{{ [namespace()] }}", "the chat template prints or compares a namespace"),
    ],
)
def test_a_failing_template_says_why(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source)
    assert caught.value.message.startswith(message)
