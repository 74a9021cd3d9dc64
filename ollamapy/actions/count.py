"""Counts the tokens of a chat's prompt."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from ollamapy.actions.chat import chat
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError
from ollamapy.types import ChatRequest


async def count_tokens(services: Services, request: ChatRequest) -> int:
    """Return the length of the prompt that this chat would give the model, in tokens; loads the model."""
    if not request.messages:
        raise InvalidInputError("messages is required")
    asked = replace(request, render_only=True, count_prompt=True, truncate=False)
    async with aclosing(chat(services, asked)) as chunks:
        return sum([chunk.prompt_tokens or 0 async for chunk in chunks])
