from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.parsing.choice import choose_template, is_go_template

GO = "{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}{{ .Response }}"
GO_TOOLS = (
    "{{ .Tools }}{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}"
)
GO_CALLS = GO_TOOLS + '{{ range .Messages }}{{ if eq .Role "tool" }}{{ .ToolCalls }}{{ end }}{{ end }}'
JINJA = "{% for m in messages %}{{ m.content }}{% endfor %}"
JINJA_TOOLS = "{% if tools %}x{% endif %}{% for m in messages %}<think></think>{{ m.content }}{% endfor %}"
JINJA_CALLS = JINJA_TOOLS + "{% if m.role == 'tool' or m.tool_calls %}{% endif %}"
GO_ONLY_CALLS = '{{ .Tools }}{{ range .Messages }}{{ if eq .Role "tool" }}{{ .ToolCalls }}{{ end }}{{ end }}'


@pytest.mark.parametrize(
    ("own", "embedded", "chosen"),
    [
        pytest.param(None, None, None, id="none"),
        pytest.param(None, JINJA, JINJA, id="the file's alone"),
        pytest.param(GO, None, GO, id="a Go one alone"),
        pytest.param(JINJA, JINJA_CALLS, JINJA, id="a Jinja one of its own"),
        pytest.param(GO, JINJA, GO, id="the file's offers no more"),
        pytest.param(GO, JINJA_TOOLS, JINJA_TOOLS, id="the file's offers more"),
        pytest.param(GO_TOOLS, JINJA_TOOLS, GO_TOOLS, id="both offer the same"),
        pytest.param(GO_TOOLS, JINJA_CALLS, JINJA_CALLS, id="only the file's writes calls and results"),
        pytest.param(GO_ONLY_CALLS, JINJA_TOOLS, GO_ONLY_CALLS, id="only its own writes calls and results"),
        pytest.param(GO_CALLS, JINJA_CALLS, GO_CALLS, id="both write calls and results"),
    ],
)
def test_the_template_in_force(own: str | None, embedded: str | None, chosen: str | None) -> None:
    assert choose_template(own, embedded) == chosen


@pytest.mark.parametrize(
    ("own", "embedded", "wants_go", "chosen"),
    [
        pytest.param(GO, JINJA_TOOLS, True, GO, id="Go first"),
        pytest.param(GO_CALLS, JINJA, False, JINJA, id="Jinja first"),
        pytest.param(GO, None, False, GO, id="nothing but Go"),
        pytest.param(None, JINJA, True, JINJA, id="nothing but Jinja"),
    ],
)
def test_a_setting_decides_between_go_and_jinja(
    own: str | None, embedded: str | None, wants_go: bool, chosen: str
) -> None:
    assert choose_template(own, embedded, wants_go) == chosen


@pytest.mark.parametrize("text", ["{{ end }}", "{{- else -}}", "{{ if }}x{{ end }}", "{{range}}", '{{ define "x" }}'])
def test_the_keywords_of_go_make_a_go_template(text: str) -> None:
    assert is_go_template(text)
    assert not is_go_template("{{ messages }} {{ ending }} {{ iffy }}")


@pytest.mark.parametrize(
    "text",
    [
        '{{ printf "%s" .Prompt }}',
        "{{ slice .Prompt 0 1 }}",
        "{{ (index .Messages 0).Content }}",
        "{{- html .Prompt -}}",
        "{{ print .Prompt }}",
        "{{ $x := .Prompt }}{{ $x }}",
        "{{ . }}",
        "{{/* a comment */}}",
    ],
)
def test_functions_and_variables_of_go_make_a_go_template(text: str) -> None:
    assert is_go_template(text)


@pytest.mark.parametrize(
    "text", ["{{ index if index else 0 }}", "{{ print | upper }}", "{{ slice(1) }}", "{{ length }}", "{{ html }}"]
)
def test_names_of_gos_functions_alone_do_not(text: str) -> None:
    assert not is_go_template(text)


def test_tells_go_templates_from_jinja_ones(shared_models: Path) -> None:
    go = sorted((shared_models / "templates" / "ollama").glob("*.gotmpl"))
    jinja = sorted((shared_models / "templates" / "llama.cpp").glob("*.jinja"))
    assert len(go) >= 15
    assert len(jinja) >= 60
    assert [path.name for path in go if not is_go_template(path.read_text())] == []
    assert [path.name for path in jinja if is_go_template(path.read_text())] == []
