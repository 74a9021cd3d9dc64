import pytest

from ollamapy.actions.templates import PLAIN, check_template, choose_template, compile_template
from ollamapy.errors import TemplateError, UnsupportedError
from ollamapy.types import Message

GO = "{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}{{ .Response }}"
GO_TOOLS = (
    "{{ .Tools }}{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}"
)
JINJA = "{% for m in messages %}{{ m.content }}{% endfor %}"
JINJA_TOOLS = "{% if tools %}x{% endif %}{% for m in messages %}<think></think>{{ m.content }}{% endfor %}"


class Embedded:
    def __init__(self, text):
        self._text = text

    def chat_template(self):
        return self._text


class Own:
    def __init__(self, template):
        self.template = template


@pytest.mark.parametrize(
    ("own", "embedded", "chosen"),
    [
        pytest.param(None, None, PLAIN, id="none"),
        pytest.param(None, JINJA, JINJA, id="the file's"),
        pytest.param(JINJA, JINJA_TOOLS, JINJA, id="a Jinja one of its own"),
        pytest.param(GO, None, GO, id="a Go one of its own"),
        pytest.param(GO, JINJA, GO, id="the file's offers no more"),
        pytest.param(GO, JINJA_TOOLS, JINJA_TOOLS, id="the file's offers more"),
        pytest.param(GO_TOOLS, JINJA_TOOLS, GO_TOOLS, id="both offer the same"),
    ],
)
def test_the_template_in_force(own, embedded, chosen):
    assert choose_template(Own(own), Embedded(embedded)) == chosen


@pytest.mark.parametrize("source", [GO, JINJA, PLAIN])
def test_both_kinds_render_a_chat(source):
    segments = compile_template(source).chat([Message("user", "hi")])
    assert "".join(segment.text for segment in segments) == "hi"


def test_only_a_go_template_knows_a_suffix():
    template = compile_template("{{ if .Suffix }}<{{ .Prompt }}|{{ .Suffix }}>{{ end }}{{ .Response }}")
    assert "".join(segment.text for segment in template.infill("a", "b")) == "<a|b>"
    with pytest.raises(UnsupportedError):
        compile_template(JINJA).infill("a", "b")


@pytest.mark.parametrize("source", ["{% for %}", "{{ if .Prompt }}"])
def test_a_template_that_does_not_parse_is_told_so(source):
    with pytest.raises(TemplateError, match=r"^template error: "):
        check_template(source)
