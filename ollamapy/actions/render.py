"""Shows the prompt that a request would give the model, without an answer."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from ollamapy.actions.chat import chat
from ollamapy.actions.generate import generate
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError
from ollamapy.types import ChatRequest, GenerateRequest


async def render(services: Services, request: ChatRequest | GenerateRequest) -> str:
    """Return the prompt as text; loads the model, whose vocabulary says what is a control token.

    Raises InvalidInputError for a request that holds nothing to render.
    """
    if isinstance(request, ChatRequest):
        is_empty, chunks = not request.messages, chat(services, replace(request, render_only=True))
    else:
        is_empty, chunks = not request.prompt, generate(services, replace(request, render_only=True))
    async with aclosing(chunks):
        if is_empty:
            raise InvalidInputError("there is nothing to render; send messages or a prompt")
        return "".join([chunk.rendered or "" async for chunk in chunks])
