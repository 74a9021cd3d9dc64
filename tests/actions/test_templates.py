import pytest

from ollamapy.actions.templates import check_template, compile_template
from ollamapy.errors import TemplateError, UnsupportedError
from ollamapy.types import Message

GO = "{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}{{ .Response }}"
JINJA = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize("source", [GO, JINJA])
def test_both_kinds_render_a_chat(source):
    segments = compile_template(source).chat([Message("user", "hi")])
    assert "".join(segment.text for segment in segments) == "hi"


def test_only_a_go_template_knows_a_suffix():
    template = compile_template("{{ if .Suffix }}<{{ .Prompt }}|{{ .Suffix }}>{{ end }}{{ .Response }}")
    assert "".join(segment.text for segment in template.infill("a", "b")) == "<a|b>"
    with pytest.raises(UnsupportedError):
        compile_template(JINJA).infill("a", "b")


@pytest.mark.parametrize("source", ["{% for %}", "{{ if .Prompt }}", "{{ else }}", "{{ end }}", "{{ if }}x{{ end }}"])
def test_a_template_that_does_not_parse_is_told_so(source):
    with pytest.raises(TemplateError, match=r"^template error: "):
        check_template(source)
