from __future__ import annotations

import pytest

from ollamapy.template.fallback import fallback_template
from ollamapy.template.prompt import render_chat
from ollamapy.types import Message
from ollamapy.wire import Segment


def test_a_single_prompt_is_rendered_verbatim(caplog: pytest.LogCaptureFixture) -> None:
    template = fallback_template("base")
    assert "model base has no chat template" in caplog.text
    assert render_chat(template, [Message("user", " Once upon\na time ")]) == (Segment(" Once upon\na time "),)


def test_several_messages_are_set_apart() -> None:
    messages = [Message("system", "A"), Message("user", ""), Message("user", "B")]
    assert render_chat(fallback_template("base"), messages) == (Segment("A\n\nB"),)
