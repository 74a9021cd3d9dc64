"""A macro whose text is kept for the same arguments reads nothing else."""

from __future__ import annotations

import pytest

from ollamapy.template.jinja import JinjaTemplate
from ollamapy.template.pure import pure_macros
from ollamapy.template.sandbox import ChatEnvironment


def names(source: str) -> set[str]:
    return set(pure_macros(ChatEnvironment().parse(source)))


@pytest.mark.parametrize(
    "body",
    [
        "text",
        "{{ a }}{{ a|upper }}{{ a is string }}{{ 'x' + a ~ b }}{{ a[0] }}{{ a[1:] }}",
        "{% if a == 'x' %}1{% elif b %}2{% else %}3{% endif %}{{ a if b else '' }}",
        "{% for c in a %}{{ c }}{{ loop.index }}{% else %}{{ b }}{% endfor %}",
        "{% for k, v in a %}{{ k }}{{ v }}{% endfor %}",
        "{{ other(a) }}",
        "{{ m(a[1:]) if a }}",
    ],
)
def test_macros_of_their_arguments_are_pure(body: str) -> None:
    source = f"{{% macro other(x) %}}{{{{ x }}}}{{% endmacro %}}{{% macro m(a, b='') %}}{body}{{% endmacro %}}"
    assert names(source) == {"m", "other"}


@pytest.mark.parametrize(
    "body",
    [
        "{{ outside }}",
        "{% for c in a %}{% endfor %}{{ c }}",
        "{% for c in outside %}{{ c }}{% endfor %}",
        "{% for c in a if outside %}{{ c }}{% endfor %}",
        "{% set ns.count = ns.count + 1 %}",
        "{% set outside = a %}{{ outside }}",
        "{{ a.pop() }}",
        "{{ a.append(1) }}",
        "{{ raise_exception(a) }}",
        "{{ strftime_now('%H') }}",
        "{{ impure(a) }}",
        "{{ caller() }}",
        "{{ varargs }}{{ kwargs }}",
        "{{ cycler('a', 'b').next() }}",
        "{% for c in a %}{% break %}{% endfor %}",
        "{{ other(*a) }}",
    ],
)
def test_macros_that_read_or_change_more_are_not(body: str) -> None:
    source = (
        "{% macro impure(x) %}{{ outside }}{% endmacro %}{% macro other(x) %}{{ x }}{% endmacro %}"
        f"{{% macro m(a) %}}{body}{{% endmacro %}}"
    )
    assert names(source) == {"other"}


@pytest.mark.parametrize(
    "rest",
    [
        "{% macro m(a) %}again{% endmacro %}",
        "{% set m = 1 %}",
        "{% for m in [1] %}{% endfor %}",
        "{% macro n(m) %}{{ m(1) }}{% endmacro %}",
    ],
)
def test_a_name_that_stands_for_something_else_too_is_not(rest: str) -> None:
    assert "m" not in names("{% macro m(a) %}{{ a }}{% endmacro %}" + rest)


def test_a_macro_within_a_condition_is_not() -> None:
    assert names("{% if x %}{% macro m(a) %}{{ a }}{% endmacro %}{% endif %}") == set()


PRINT = "{% macro p(a, b='-') %}[{{ a }}{{ b }}]{% endmacro %}"


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        ("{{ p('1') }}{{ p(1) }}{{ p(1.0) }}{{ p(true) }}", "[1-][1-][1.0-][True-]"),
        ("{{ p(['x']) }}{{ p(('x',)) }}{{ p('x') }}", "[['x']-][('x',)-][x-]"),
        ("{{ p('x') }}{{ p('x', '-') }}{{ p('x', b='+') }}{{ p(b='+', a='x') }}", "[x-][x-][x+][x+]"),
        ("{{ p('x') }}{{ p('x') }}{{ p('y') }}{{ p('x') }}", "[x-][x-][y-][x-]"),
        ("{{ p(nothing) }}{{ p() }}{{ p(none) }}", "[-][-][None-]"),
    ],
)
def test_what_is_kept_is_told_apart_as_it_prints(calls: str, text: str) -> None:
    assert JinjaTemplate(PRINT + calls).render({}) == text


def test_what_is_kept_belongs_to_one_rendering() -> None:
    template = JinjaTemplate("{% macro p(a) %}{{ a[0] }}{% endmacro %}{% for x in given %}{{ p([x]) }}{% endfor %}")
    assert template.render({"given": ["a", "b", "a"]}) == "aba"
    assert template.render({"given": ["b"]}) == "b"


def test_a_list_that_changes_between_calls_is_read_again() -> None:
    source = (
        "{% macro p(a) %}{{ a|length }}{% endmacro %}{% set l = ['x'] %}{{ p(l) }}{% set _ = l.append('x') %}{{ p(l) }}"
    )
    assert JinjaTemplate(source).render({}) == "12"


def test_values_that_hold_each_other_many_times_are_not_walked() -> None:
    source = (
        "{% macro p(a) %}{{ a|length }}{% endmacro %}{% set ns = namespace(a=('x',)) %}"
        "{% for i in range(60) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ p(ns.a) }}"
    )
    assert JinjaTemplate(source).render({}) == "2"
