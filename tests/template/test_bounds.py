"""Hostile templates end in an error, whatever they do, and leave the process as it was."""

# ruff: noqa: E501  one template a line

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from ollamapy.errors import TemplateError
from ollamapy.template.bounds import Bounds, Meter
from ollamapy.template.deadline import Deadline
from ollamapy.template.jinja import JinjaTemplate

MARKER = Path("/tmp/ollamapy-template-escaped")

DAG = "{%% set ns = namespace(a=(1,), b=(1,)) %%}{%% for i in range(60) %%}{%% set ns.a = (ns.a, ns.a) %%}{%% set ns.b = (ns.b, ns.b) %%}{%% endfor %%}%s"


@pytest.mark.parametrize(
    "source",
    [
        f"{{{{ cycler.__init__.__globals__.os.popen('touch {MARKER}').read() }}}}",
        f"{{{{ lipsum.__globals__['os'].popen('touch {MARKER}') }}}}",
        f"{{{{ namespace.__init__.__globals__['os'].popen('touch {MARKER}') }}}}",
        f"{{{{ raise_exception.__globals__['os'].system('touch {MARKER}') }}}}",
        f"{{{{ self._TemplateReference__context.environment.os.system('touch {MARKER}') }}}}",
        f"{{{{ ''.__class__.__mro__[1].__subclasses__()[0]('touch {MARKER}') }}}}",
        f"{{{{ ''['__class__']['__mro__'][1]('touch {MARKER}') }}}}",
        "{{ ''|attr('__class__') }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ '{x.__init__.__globals__}'.format(x=cycler) }}",
        "{{ ['{0.__class__}']|map('format', '')|list }}",
        "{{ [cycler]|map(attribute='__init__.__globals__')|map('string')|list }}",
        "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}{{ m._environment }}",
        "{% macro m() %}{% endmacro %}{{ m._body.__globals__ }}{{ m._run }}{{ m._pure() }}{{ m._kept }}{{ m['_body'] }}",
        "{% macro m() %}{% endmacro %}{{ '{0._body.__globals__}'.format(m) }}{{ [m]|map(attribute='_body')|list }}",
        "{% macro m() %}{{ caller._body }}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}",
        "{% set meter = 1 %}{% set environment = 2 %}{{ meter.bounds.__class__ }}{{ environment.filters.__class__ }}",
        "{% for x in [1] %}{{ loop.changed.__self__ }}{{ loop.cycle.__func__.__globals__ }}{{ loop._recurse }}{% endfor %}",
        "{% for x in [1] %}{{ loop.__class__ }}{{ loop._iterable.__class__ }}{% endfor %}",
        "{{ range.__init__ }}{{ (1).__class__ }}{{ none.__class__ }}{{ [].__class__ }}{{ {}.__class__ }}",
        "{{ missing.__class__ }}",
        "{{ 'x'.encode() }}",
        "{{ 1 .to_bytes(1000000000) }}",
        "{{ {'a': 1}.pop('a') }}",
        "{{ [1].clear() }}",
    ],
)
def test_nothing_reaches_python(source: str) -> None:
    MARKER.unlink(missing_ok=True)
    try:
        text = JinjaTemplate(source).render({})
    except TemplateError:
        text = ""
    assert not MARKER.exists()
    assert "class" not in text
    assert "<built-in" not in text
    assert "globals" not in text


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in [1] recursive %}{% endfor %}{% for k in range(9999) %}{% endfor %}{% endfor %}",
        "{% set l = [1] %}{% for i in range(100000) %}{% for i in range(100000) %}{% set _ = l.append(1) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
        "{% for i in range(100000) %}{{ range(100000)|map('string')|list|length }}{% endfor %}",
        "{% for i in range(100000) %}{{ range(100000)|list|length }}{{ range(100000)|select('odd')|list|length }}{% endfor %}",
    ],
)  # fmt: skip
def test_endless_work_meets_a_bound(source: str) -> None:
    with pytest.raises(TemplateError, match=r"ran for more than|more than .* MiB of memory"):
        JinjaTemplate(source).render({}, Meter(Bounds(seconds=0.1)))


def test_the_deadline_is_read_from_the_clock() -> None:
    ticks = iter(range(1000))
    meter = Meter(Bounds(seconds=10), Deadline(10, lambda: next(ticks), lambda: next(ticks)))
    with pytest.raises(TemplateError, match="ran for more than 10 seconds"):
        JinjaTemplate("{% for i in range(1000) %}{% endfor %}").render({}, meter)
    assert next(ticks) < 20


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * 'x' }}",
        "{{ [1] * 10**10 }}",
        "{{ (10**10) * (1,) }}",
        "{{ range(10**9)|list }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ 10**10000 }}",
        "{{ (2**4000) * (2**4000) }}",
        "{{ ('9' * 100000)|int(base=16) }}",
        "{{ 9|round(-10**9) }}{{ 9|round(10**9, 'ceil') }}",
        "{{ 'x'|center(10**10) }}",
        "{{ 'x'.center(10**10) }}",
        "{{ 'x'.ljust(10**10) }}{{ 'x'.rjust(10**10) }}",
        "{{ 'x'.zfill(10**10) }}",
        "{{ ('\\t' * 1000000).expandtabs(10**7) }}",
        "{{ ('x' * 1000000)|replace('', 'y' * 1000) }}",
        "{{ ('x' * 1000000).replace('x', 'y' * 1000) }}",
        "{{ 'x'|indent(10**10, true) }}",
        "{{ ('x\\n' * 100000)|indent('y' * 100000) }}",
        "{{ [1]|tojson(indent=10**9) }}",
        "{{ ['x' * 1000000] * 100000 }}",
        "{{ (['x' * 1000000] * 100000)|join }}",
        "{{ ('x' * 1000000).join(['a'] * 100000) }}",
        "{{ (['x' * 1000000] * 100000)|tojson }}",
        "{{ (['x' * 1000000] * 100000)|string }}",
        "{{ ('a ' * 8000000).split()|length }}",
        "{{ ('\\n' * 8000000).splitlines()|length }}",
        "{{ ('a' * 8000000)|list|length }}",
        "{{ ('a ' * 8000000)|title }}",
        "{{ 'x'|batch(10**9, 'y')|list }}",
        "{{ 'x'|slice(10**9)|list }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%.1000000000f'|format(1.5) }}",
        "{{ ('%(a)s' * 100000) % {'a': 'y' * 1000000} }}",
        "{{ '{:>1000000000}'.format('x') }}",
        "{{ '{:{}}'.format('x', 1000000000) }}",
        "{{ ('{0}' * 100000).format('y' * 1000000) }}",
        "{{ ['x']|map('center', 10**10)|list }}",
        "{{ ('a' * 10000000).strip('b' * 10000000 ~ 'a') }}",
        "{{ ('a' * 8000000).rfind('b' ~ 'a' * 4000000) }}",
        "{{ ('a' * 8000000).rsplit('b' ~ 'a' * 4000000) }}",
        "{% set ns = namespace(a='x') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "{% set ns = namespace(a='x') %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
        "{% set b = 'x' * 10000000 %}{% for i in range(9) %}{{ b }}{% endfor %}",
        "{% set b = 'x' * 10000000 %}{% macro m() %}{% for i in range(99999) %}{{ b }}{% endfor %}{% endmacro %}{{ m() }}",
        "{% set b = 'x' * 10000000 %}{% set c %}{% for i in range(99999) %}{{ b }}{% endfor %}{% endset %}",
        "{% set b = 'x' * 10000000 %}{% set l = [] %}{% for i in range(99999) %}{% set _ = l.append(b[i:]) %}{% endfor %}",
        "{% set c %}{% for i in range(99999) %}" + "x" * 9000 + "{% endfor %}{% endset %}",
        "{{ strftime_now('%Y' * 10000) }}",
    ],
)  # fmt: skip
def test_large_values_are_refused_before_they_are_made(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError):
            JinjaTemplate(source).render({}, Meter(Bounds(seconds=30)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200 << 20


@pytest.mark.parametrize(
    "source",
    [
        DAG % "{{ ns.a }}",
        DAG % "{{ ns.a|tojson }}",
        DAG % "{{ ns.a == ns.b }}",
        DAG % "{{ ns.a is eq(ns.b) }}",
        DAG % "{{ [ns.a].index(ns.b) }}",
        DAG % "{{ [ns.a, ns.b]|unique|list }}",
        DAG % "{{ [ns.a, ns.b]|sort }}",
        DAG % "{{ {ns.a: 1} }}",
        DAG % "{{ dict([[ns.a, 1]]) }}",
        DAG % "{{ {}[ns.a] }}",
        DAG % "{{ {}.get(ns.a) }}",
        DAG % "{{ '%s' % ns.a }}",
        DAG % "{{ '{}'.format(ns.a) }}",
        DAG % "{{ '{!r:.3}'.format(ns.a) }}",
        "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
        "{% set l = [] %}{% set _ = l.append(l) %}{{ l == l[0] }}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    ],
)  # fmt: skip
def test_values_that_share_or_contain_themselves_are_not_walked_for_long(source: str) -> None:
    with pytest.raises(TemplateError, match=r"walks over more|tuple as a key|a namespace|calls itself too deeply"):
        JinjaTemplate(source).render({}, Meter(Bounds(walk_nodes=10_000)))


def test_output_is_bounded() -> None:
    with pytest.raises(TemplateError, match="wrote more than 10 characters"):
        JinjaTemplate("12345{{ '678901' }}").render({}, Meter(Bounds(output_chars=10)))
    assert JinjaTemplate("12345{{ '67890' }}").render({}, Meter(Bounds(output_chars=10))) == "1234567890"


LOOKING_BACK = """
{%- for i in range(n) -%}
    {%- set seen = namespace(found=false, at=none) -%}
    {%- for j in range(n) -%}
        {%- if not seen.found -%}
            {%- if j >= i % 3 -%}{%- set seen.at = j -%}{%- set seen.found = true -%}{%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{- seen.at -}}
{%- endfor -%}
"""


def test_a_loop_that_looks_for_one_thing_costs_no_more_than_finding_it() -> None:
    n = 3000  # all steps together, nine million, would exceed the bounds
    assert JinjaTemplate(LOOKING_BACK).render({"n": n}) == "012" * (n // 3)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for x in [1, 0, 2] %}{% if x %}{{ x }}{% endif %}{% endfor %}", "12"),
        ("{% for m in rows %}{% if m.on %}{{ m.v }}{% endif %}{% endfor %}", "13"),
        ("{% for x in [1, 2] %}{% if other.on %}{{ x }}{% endif %}{% endfor %}", "12"),
        ("{% for x in [1, 2] %}{% if not other.on %}{{ x }}{% endif %}{% endfor %}", ""),
        ("{% for x in [1, 2] %}{% if not other.on %}{{ x }}{% else %}-{% endif %}{% endfor %}", "--"),
        ("{% for x in [1, 2] %}{% if not other.on %}{{ x }}{% endif %}.{% endfor %}", ".."),
        ("{% for x in [1, 2] %}{% if loop.first %}{{ x }}{% endif %}{% else %}none{% endfor %}", "1"),
        ("{% for x in [1, 2] %}{% if loop.last %}{{ x }}{% endif %}{% endfor %}", "2"),
        ("{% for other in rows %}{% if other.on %}{{ other.v }}{% endif %}{% endfor %}", "13"),
    ],
)
def test_other_loops_go_on_to_their_end(source: str, expected: str) -> None:
    rows = [{"on": True, "v": 1}, {"on": False, "v": 2}, {"on": True, "v": 3}]
    assert JinjaTemplate(source).render({"rows": rows, "other": {"on": True}}) == expected
