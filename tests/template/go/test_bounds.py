from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import TemplateError
from ollamapy.template.deadline import Deadline
from ollamapy.template.go.evaluate import Limits, execute
from ollamapy.template.go.functions import BUILTINS, SPECIAL
from ollamapy.template.go.parser import MAX_SOURCE_CHARS, parse_template
from ollamapy.template.go.values import Value

SMALL = Limits(steps=10_000, output_chars=10_000, made_chars=1 << 24)


def run(source: str, data: Value = None, limits: Limits = SMALL) -> str:
    return execute(parse_template(source, [*BUILTINS, *SPECIAL]), data, {}, limits=limits)


DOUBLE = '{{ $x := "ab" }}{{ range 64 }}{{ $x = printf "%s%s" $x $x }}{{ end }}'
WIDE = '{{ range 100000 }}{{ $x := printf "%1000000s" "" }}{{ end }}'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("{{ range 1000000000 }}{{ end }}", "more than 10000 steps", id="a long loop"),
        pytest.param("{{ range 9999 }}{{ range 9999 }}{{ end }}{{ end }}", "more than 10000 steps", id="nested loops"),
        pytest.param("{{ range 5000 }}xyz{{ end }}", "more than 10000 characters", id="much output"),
        pytest.param(DOUBLE, "the text has more than", id="doubling text"),
        pytest.param(DOUBLE.replace('printf "%s%s"', "print"), "the text has more than", id="doubling by print"),
        pytest.param(DOUBLE.replace('printf "%s%s"', "println"), "the text has more than", id="doubling by println"),
        pytest.param(WIDE, "makes more than 16777216 characters", id="much text thrown away"),
        pytest.param('{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}', "template depth", id="recursion"),
        pytest.param("{{ if true }}" * 2000 + "{{ end }}" * 2000, "nested too deeply", id="deep actions"),
        pytest.param("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "nested too deeply", id="deep parentheses"),
        pytest.param("{{ print" + " 1" * 200 + " }}", "more than 100 arguments", id="many arguments"),
        pytest.param("x" * (MAX_SOURCE_CHARS + 1), "longer than", id="a long source"),
    ],
)
def test_a_costly_template_is_stopped(source: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        run(source)
    assert reason in caught.value.message


@pytest.mark.parametrize("source", ["{{ range 9 }}{{ end }}", '{{ printf "%d%d%d%d%d%d%d%d%d" 1 }}'])
def test_a_slow_template_is_stopped(source: str) -> None:
    ticks = count()
    template = parse_template(source, [*BUILTINS, *SPECIAL])
    deadline = Deadline(5, lambda: next(ticks), lambda: next(ticks))
    with pytest.raises(TemplateError) as caught:
        execute(template, None, {}, limits=Limits(seconds=5), deadline=deadline)
    assert "longer than 5 seconds" in caught.value.message


words = st.sampled_from([
    "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define", "template", "block", "break", '"x"',
    ".", ".A", "$", "$x", ":=", "=", "|", "(", ")", "1", "1.5", "print", "printf", "index", "len", "eq", "and", "nil",
    "true", "'a'", "`", '"', "/*", "*/", "text", "\n", ",", "é", "\x00", "\ud800",
])  # fmt: skip


@given(st.lists(words, max_size=25).map("".join))
def test_any_source_gives_text_or_a_template_error(source: str) -> None:
    with suppress(TemplateError):
        run(source, {"A": [1, "x", {"A": None}], "B": ""})


operands = st.sampled_from([
    "print", "printf", "index", "len", "eq", "lt", "and", "slice", "html", "js", ".A", ".B", ".", "nil", "1", '"%v %d"',
    '"é"', "(index .A 2)", "(len .A)", "|", "1.5", "true", "not", "urlquery",
])  # fmt: skip
actions = st.lists(operands, min_size=1, max_size=6).map(lambda found: "{{ " + " ".join(found) + " }}")


@given(actions)
def test_any_action_gives_text_or_a_template_error(source: str) -> None:
    with suppress(TemplateError):
        run(source, {"A": [1, "x", {"A": None}], "B": "é\udcff"})
