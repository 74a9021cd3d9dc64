from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.template.prompt import chat_template, render_chat
from ollamapy.template.thinking import think_variables
from ollamapy.types import Message, Think

LISTED = "{% if reasoning_effort not in ['high', 'low', 'no_think'] %}{{ raise_exception('no') }}{% endif %}"


def test_nothing_is_said_where_nobody_says_anything() -> None:
    assert think_variables(None, LISTED) == {}


@pytest.mark.parametrize(
    ("think", "source", "effort"),
    [
        (True, "{{ reasoning_effort }}", None),
        (False, "{{ reasoning_effort }}", None),
        ("medium", "{{ reasoning_effort }}", "medium"),
        ("max", "{{ reasoning_effort }}", "high"),
        ("max", "{% if reasoning_effort == 'max' %}", "max"),
        ("medium", LISTED, "high"),
        ("max", LISTED, "high"),
        ("low", LISTED, "low"),
        (True, LISTED, "high"),
        (False, LISTED, "no_think"),
        (False, '{% if reasoning_effort | lower == "none" %}', "none"),
        (False, "{% if tool_choice == 'none' %}{% endif %}{{ reasoning_effort }}", None),
    ],
)
def test_a_level_is_told_in_the_templates_words(think: Think, source: str, effort: str | None) -> None:
    variables = think_variables(think, source)
    assert variables.get("reasoning_effort") == variables.get("thinking_effort") == effort
    assert variables["enable_thinking"] is variables["thinking"] is bool(think)


OFF_AND_ON = {
    "ByteDance-Seed-OSS": ("</seed:think>", ""),
    "Cohere2MoE": ("<|START_THINKING|><|END_THINKING|>", "<|START_THINKING|>"),
    "Kimi-K3": ("<|open|>response<|sep|>", "<|open|>think<|sep|>"),
    "MiniMax-M3": ("</mm:think>", ""),
    "Qwen-Qwen3-0.6B": ("<think>\n\n</think>\n\n", ""),
    "tencent-Hy3": ("<think:opensource></think:opensource>", "<think:opensource>"),
}


@pytest.mark.parametrize("name", OFF_AND_ON)
def test_a_model_is_told_whether_to_think(shared_models: Path, name: str) -> None:
    source = (shared_models / "templates" / "llama.cpp" / f"{name}.jinja").read_text("utf-8")
    template = chat_template(source, bos_token="<s>", eos_token="</s>")

    def prompt(think: Think) -> str:
        return "".join(segment.text for segment in render_chat(template, [Message("user", "Hi")], think=think))

    off, on = OFF_AND_ON[name]
    assert prompt(False).rstrip("\n").endswith(off.rstrip("\n"))
    assert prompt(True).rstrip("\n").endswith(on)
    assert prompt(False) != prompt(True)
    for level in ("low", "medium", "high", "max"):
        assert prompt(level).rstrip("\n").endswith(on)
