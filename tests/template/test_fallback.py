from __future__ import annotations

import pytest

from ollamapy.template.fallback import SOURCE, fallback_template
from ollamapy.template.prompt import chat_template, render_chat
from ollamapy.types import Message
from ollamapy.wire import Segment


def test_a_single_prompt_is_rendered_verbatim() -> None:
    prompt = render_chat(chat_template(SOURCE), [Message("user", " Once upon\na time ")])
    assert prompt == (Segment(" Once upon\na time "),)


def test_several_messages_are_set_apart() -> None:
    messages = [Message("system", "A"), Message("user", ""), Message("user", "B")]
    assert render_chat(chat_template(SOURCE), messages) == (Segment("A\n\nB"),)


def test_the_log_tells_of_a_model_without_a_template(caplog: pytest.LogCaptureFixture) -> None:
    assert fallback_template("base") == SOURCE
    assert "model base has no prompt template" in caplog.text
    assert "TEMPLATE" in caplog.text
