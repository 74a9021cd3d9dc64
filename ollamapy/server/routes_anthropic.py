"""The routes of Anthropic's API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from ollamapy.actions.chat import chat
from ollamapy.actions.count import count_tokens
from ollamapy.actions.services import Services
from ollamapy.dialects import anthropic
from ollamapy.dialects.anthropic_requests import count_request, messages_request
from ollamapy.dialects.fields import Fields
from ollamapy.server.body import read_fields
from ollamapy.server.stream import Answer, WholeAnswer
from ollamapy.server.writers import MessageWriter
from ollamapy.types import Chunk

JSON = "application/json"


class AnthropicRoutes:
    """One method per route; each reads the request, asks an action and writes its answer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count, methods=["POST"]),
        )

    async def messages(self, request: Request) -> Answer[Chunk]:
        """POST /v1/messages."""
        ask = messages_request(await self._read(request))
        writer = anthropic.EventWriter(f"msg_{secrets.token_hex(12)}", ask.model, ask.options.stop or ())
        return Answer(chat(self._services, ask), MessageWriter(writer, request.state.request_id), stream=ask.stream)

    async def count(self, request: Request) -> WholeAnswer:
        """POST /v1/messages/count_tokens."""
        ask = count_request(await self._read(request))

        async def answer() -> bytes:
            return anthropic.encode(anthropic.TokenCount(await count_tokens(self._services, ask)))

        return WholeAnswer(answer, JSON)

    async def _read(self, request: Request) -> Fields:
        return await read_fields(request, self._services.settings.max_body_bytes)
