# ruff: noqa: E501  one template a line

from __future__ import annotations

import pytest

from ollamapy.errors import TemplateError
from ollamapy.template.messages import Traits
from ollamapy.template.prompt import chat_template

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
CALLS = PLAIN + "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ BODY }}{% endfor %}{% endfor %}"
NEEDS_ID = (
    "{% for m in messages if m.role == 'tool' and m.tool_call_id|length < 2 %}{{ raise_exception('id') }}{% endfor %}"
)
SHORT_ID = (
    "{% for m in messages if m.role == 'tool' and m.tool_call_id|length != 9 %}{{ raise_exception('id') }}{% endfor %}"
)

TYPED = Traits(typed_content=True, reads_parts=True)
THOUGHTS = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{{ '[THINK]' + c.thinking if c.type == 'thinking' else c.text }}{% endfor %}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("source", "traits"),
    [
        (PLAIN, Traits()),
        ("{{ raise_exception('never') }}", Traits()),
        ("{% for t in tools %}{{ t }}{% endfor %}" + PLAIN, Traits(lists_no_tools=True)),
        ("{% for m in messages %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}", TYPED),
        (THOUGHTS, Traits(reads_parts=True, thinking_part=True)),
        ("{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + PLAIN, Traits(folds_system=True)),
        ("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}", Traits(folds_system=True)),
        (CALLS.replace("BODY", "c.function.arguments|tojson"), Traits()),
        (CALLS.replace("BODY", "c.function.arguments"), Traits(arguments_as_text=True)),
        (CALLS.replace("BODY", "'x' + c.function.arguments"), Traits(arguments_as_text=True)),
        (CALLS.replace("BODY", "c.function.arguments|tojson if m.content is none"), Traits(none_content=True)),
        (CALLS.replace("BODY", "c.function.arguments|tojson") + NEEDS_ID, Traits(needs_ids=True)),
        (CALLS.replace("BODY", "c.function.arguments|tojson") + SHORT_ID, Traits(needs_ids=True, short_ids=True)),
    ],
)  # fmt: skip
def test_probing_finds_what_a_template_wants(source: str, traits: Traits) -> None:
    assert chat_template(source).traits == traits


def test_a_template_too_slow_for_probing_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"ran for more than|MiB of memory"):
        chat_template("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}")
