"""The template of models that have none: base models, which continue plain text."""

from __future__ import annotations

import logging

logger = logging.getLogger("ollamapy.template")

# What Ollama's `{{ .Prompt }}` amounts to for one prompt; further messages are set apart by a blank line.
SOURCE = (
    "{% for message in messages if message.content %}{{ message.content }}{{ '\\n\\n' if not loop.last }}{% endfor %}"
)


def fallback_template(model: str) -> str:
    """Return the template that writes the messages' contents alone, warning that the model has no template."""
    logger.warning(
        "model %s has no prompt template: its messages are joined as plain text, which suits base models only; "
        "if it is meant for chats, create it anew with a TEMPLATE",
        model,
    )
    return SOURCE
