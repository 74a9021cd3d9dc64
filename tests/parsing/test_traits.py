from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.parsing.answer import answer_parser
from ollamapy.parsing.go_tags import find_thinking_tags, find_tool_tag
from ollamapy.parsing.thinking import ThinkingTags
from ollamapy.parsing.traits import AnswerTraits, read_traits
from ollamapy.template.go.ollama import go_template
from tests.parsing.splits import parse

LAST = "{{- range $i, $_ := .Messages }}{{- $last := eq (len (slice $.Messages $i)) 1 -}}"
QWEN = (
    LAST + '{{ if eq .Role "assistant" }}{{ if and $last .Thinking }}\n<think>{{ .Thinking }}</think>\n{{ end }}'
    "{{ if .Content }}{{ .Content }}{{ else if .ToolCalls }}<tool_call>\n"
    '{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}\n{{ end }}'
    "</tool_call>{{ end }}{{ end }}{{ end }}{{ with .Tools }}{{ . }}{{ end }}"
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(QWEN, ("<think>", "</think>"), id="qwen"),
        pytest.param(
            f"{{{{ if .Thinking }}}}/think{{{{ end }}}}{LAST}{{{{ if .Thinking }}}} Before  {{{{ .Thinking }}}} after\n"
            "{{ end }}{{ end }}",
            ("Before", "after"),
            id="trimmed",
        ),
        pytest.param(
            LAST + "{{ range .Others }}{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ end }}{{ end }}",
            None,
            id="another range in between",
        ),
        pytest.param("{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}", None, id="outside of a range"),
        pytest.param(LAST + "{{ if .Thinking }}<t>{{ .Thinking }}{{ end }}{{ end }}", None, id="no closing tag"),
        pytest.param("{{ .Prompt }}", None, id="none"),
    ],
)
def test_thinking_tags_of_go_templates(source: str, expected: tuple[str, str] | None) -> None:
    assert find_thinking_tags(go_template(source).parsed.root) == (expected and ThinkingTags(*expected))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("", None, id="empty"),
        pytest.param("{{range .ToolCalls}}{{ . }}{{end}}", None, id="no text"),
        pytest.param("```json\n", "```json", id="fence"),
        pytest.param("\n [ {{range .ToolCalls}}{{ . }}{{end}}]", "[", id="bracket"),
        pytest.param("{{range .ToolCalls}}{{ . }}{{end}}]", None, id="text behind a value"),
        pytest.param(" {{range .ToolCalls}}{{ . }}{{end}}", None, id="whitespace"),
        pytest.param('{{range .ToolCalls}}{"name": "{{ .Function.Name }}"}{{end}}', None, id="objects"),
        pytest.param("<|calls|>{{range .ToolCalls}}<|call|>{{end}}<|end|>", "<|calls|>", id="before the range"),
        pytest.param("{{range .ToolCalls}}<tool_call>{{.}}</tool_call>{{end}}", "<tool_call>", id="in the range"),
        pytest.param('{{range .ToolCalls}}<tool_call>\n{"name"}{{end}}', "<tool_call>", id="up to a brace"),
        pytest.param("First{{if .Some}}inner{{end}}Second", "First", id="only the first text"),
        pytest.param("Action: ```json", "Action: ```json", id="action"),
        pytest.param("[TOOL_CALL] [", "[TOOL_CALL] [", id="tag and bracket"),
    ],
)
def test_tool_tags_of_go_templates(body: str, expected: str | None) -> None:
    for source in (
        f"{{{{if .ToolCalls}}}}{body}{{{{end}}}}",
        f"{{{{range .A}}}}{{{{if .ToolCalls}}}}{body}{{{{end}}}}{{{{end}}}}",
    ):
        assert find_tool_tag(go_template(source).parsed.root) == expected


@pytest.mark.parametrize(
    ("source", "thinks", "tools"),
    [
        pytest.param(QWEN, True, True, id="Go: both"),
        pytest.param("{{ .System }}{{ .Prompt }}", False, False, id="Go: neither"),
        pytest.param(
            "{{ range .Tools }}{{ . }}{{ end }}{{ .Prompt }}<think></think>", False, True, id="Go: only mentioned"
        ),
        pytest.param("{% <think> </think> %}", True, False, id="Jinja: both tags"),
        pytest.param("{% x.split('</think>') %}", True, False, id="Jinja: cuts thinking out"),
        pytest.param("{% x.split('</think>') reasoning_content %}", False, False, id="Jinja: handed over separately"),
        pytest.param("{% x.split('</think>') <SPECIAL_12> %}", False, False, id="Jinja: a placeholder"),
        pytest.param("{% for tool in tools %}", False, True, id="Jinja: tools"),
        pytest.param("{% tool_call %}", False, True, id="Jinja: calls"),
        pytest.param("{% <|start|>assistant<|channel|>analysis %}", True, False, id="Harmony"),
        pytest.param("{{ messages[0].content }}{{ tools }}", False, True, id="Jinja without statements"),
        pytest.param("", False, False, id="empty"),
    ],
)
def test_a_template_tells_what_its_model_can_do(source: str, thinks: bool, tools: bool) -> None:
    traits = read_traits(source)
    assert (traits.thinks, traits.calls_tools) == (thinks, tools)


def test_the_tag_of_a_go_template_finds_calls_of_an_unknown_family() -> None:
    calls = "{{ if .ToolCalls }}CALL {{ range .ToolCalls }}{{ . }}{{ end }}{{ end }}"
    source = f"{{{{ .Tools }}}}{{{{ range .Messages }}}}{calls}{{{{ end }}}}"
    tools = [{"function": {"name": name}} for name in ("get", "get_weather")]
    parser = answer_parser(source, prompt_tail="", think_enabled=False, tools=tools)
    part = parse(parser, 'One. CALL get_weather: {"city": "Oslo"} CALL {"name": "new", "arguments": {}} Two.')
    assert [(call.name, dict(call.arguments)) for call in part.tool_calls] == [
        ("get_weather", {"city": "Oslo"}),
        ("new", {}),
    ]
    assert part.content == "One. Two."


def test_the_library_templates_have_their_traits(shared_models: Path) -> None:
    folder = shared_models / "templates" / "ollama"
    traits = {path.stem: read_traits(path.read_text()) for path in folder.glob("*.gotmpl")}
    assert traits.pop("command-r") == AnswerTraits(calls_tools=True, answers_calls=True, tool_tag="Action: ```json\n[")
    assert set(traits.values()) == {AnswerTraits()}
