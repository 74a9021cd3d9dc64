"""The routes of OpenAI's Responses API."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ollamapy.actions.chat import chat
from ollamapy.actions.count import count_tokens
from ollamapy.actions.services import Services
from ollamapy.dialects import responses
from ollamapy.dialects.chunks import join_chunks
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.responses_requests import ResponseRequest, response_request
from ollamapy.errors import InvalidInputError, NotFoundError
from ollamapy.server.body import read_fields
from ollamapy.server.conversations import Conversation, Conversations
from ollamapy.server.stream import Answer, WholeAnswer
from ollamapy.server.writers import ResponseWriter
from ollamapy.types import ChatRequest, Chunk, Json, Message

JSON = "application/json"


class ResponsesRoutes:
    """One method per route; each reads the request, asks an action and writes its answer."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._conversations = Conversations()

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/v1/responses", self.create, methods=["POST"]),
            Route("/v1/responses/input_tokens", self.count, methods=["POST"]),
            Route("/v1/responses/{response_id}", self.retrieve, methods=["GET"]),
            Route("/v1/responses/{response_id}", self.delete, methods=["DELETE"]),
        )

    async def create(self, request: Request) -> Answer[Chunk]:
        """POST /v1/responses."""
        ask = response_request(await self._read(request), self._find_item)
        whole = self._with_history(ask)
        events = responses.ResponseEvents(f"resp_{secrets.token_hex(16)}", ask.chat.model, int(time.time()), ask.echo)
        writer = ResponseWriter(events)
        said = whole.messages[1:] if ask.instructions else whole.messages
        items = self._kept(writer, whole, said) if ask.is_kept else chat(self._services, whole)
        return Answer(items, writer, stream=ask.chat.stream)

    async def count(self, request: Request) -> WholeAnswer:
        """POST /v1/responses/input_tokens."""
        whole = self._with_history(response_request(await self._read(request), self._find_item))

        async def answer() -> bytes:
            return responses.encode(responses.InputTokens(await count_tokens(self._services, whole)))

        return WholeAnswer(answer, JSON)

    async def retrieve(self, request: Request) -> Response:
        """GET /v1/responses/{id}."""
        return Response(self._find(request.path_params["response_id"]).response, media_type=JSON)

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/responses/{id}."""
        response_id = request.path_params["response_id"]
        self._find(response_id)
        self._conversations.forget(response_id)
        return Response(responses.encode(responses.DeletedResponse(response_id)), media_type=JSON)

    def _with_history(self, ask: ResponseRequest) -> ChatRequest:
        if not ask.previous_id:
            return ask.with_history(())
        before = self._conversations.find(ask.previous_id)
        if before is None:
            raise InvalidInputError(
                f"Previous response with id '{ask.previous_id[:80]}' not found: responses are kept in memory, and only "
                "the last ones; send the whole conversation as input"
            )
        return ask.with_history(before.messages)

    async def _kept(
        self, writer: ResponseWriter, ask: ChatRequest, said: Sequence[Message]
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the pieces of an answer and keep it before its end is told: the next turn may follow at once."""
        pieces: list[Chunk] = []
        async with aclosing(chat(self._services, ask)) as chunks:
            async for chunk in chunks:
                pieces.append(chunk)
                if chunk.final is not None:
                    answer = join_chunks(pieces)
                    turn = Message("assistant", answer.content, answer.thinking, tool_calls=answer.tool_calls)
                    self._conversations.keep(writer.id, (*said, turn), writer.response(answer))
                yield chunk

    def _find_item(self, item_id: str) -> dict[str, Json] | None:
        kept = self._conversations.find(responses.response_id(item_id))
        return None if kept is None else responses.find_item(kept.response, item_id)

    def _find(self, response_id: str) -> Conversation:
        found = self._conversations.find(response_id)
        if found is None:
            raise NotFoundError(f"Response with id '{response_id[:80]}' not found")
        return found

    async def _read(self, request: Request) -> Fields:
        return await read_fields(request, self._services.settings.max_body_bytes)
