"""The template of models that have none: base models, which continue plain text."""

from __future__ import annotations

import logging

from ollamapy.template.prompt import ChatTemplate, chat_template

log = logging.getLogger("ollamapy.template")

# What Ollama's `{{ .Prompt }}` amounts to for one prompt; further messages are set apart by a blank line.
SOURCE = (
    "{% for message in messages if message.content %}{{ message.content }}{{ '\\n\\n' if not loop.last }}{% endfor %}"
)


def fallback_template(model: str) -> ChatTemplate:
    """Return the template that writes the messages' contents alone, warning that the model has no chat template."""
    log.warning("model %s has no chat template; its messages are joined as plain text", model)
    return chat_template(SOURCE)
