"""The routes of OpenAI's API."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ollamapy.actions.chat import chat
from ollamapy.actions.choices import merge_answers, seeded
from ollamapy.actions.generate import generate
from ollamapy.actions.list import find_model, list_models
from ollamapy.actions.services import Services
from ollamapy.dialects import anthropic, openai
from ollamapy.dialects.native import ModelRecord
from ollamapy.dialects.openai_completions import CompletionEvents, completion_request
from ollamapy.dialects.openai_requests import chat_completion_request
from ollamapy.server.body import read_fields
from ollamapy.server.stream import Answer
from ollamapy.server.writers import CompletionWriter, TextCompletionWriter
from ollamapy.types import ChatRequest, Chunk

JSON = "application/json"
ANTHROPIC_HEADER = "anthropic-version"


class OpenaiRoutes:
    """One method per route; each reads the request, asks an action and writes its answer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.model, methods=["GET"]),
        )

    async def chat_completions(self, request: Request) -> Answer[Chunk]:
        """POST /v1/chat/completions."""
        fields = await read_fields(request, self._services.settings.max_body_bytes)
        ask = chat_completion_request(fields)
        answer_id = f"chatcmpl-{secrets.token_hex(12)}"
        writer = openai.EventWriter(answer_id, ask.chat.model, int(time.time()), ask.include_usage, ask.n)
        return Answer(self._chats(ask.chat, ask.n), CompletionWriter(writer), stream=ask.chat.stream)

    async def completions(self, request: Request) -> Answer[Chunk]:
        """POST /v1/completions."""
        ask = completion_request(await read_fields(request, self._services.settings.max_body_bytes))
        writer = CompletionEvents(
            f"cmpl-{secrets.token_hex(12)}", ask.model, int(time.time()), ask.n, len(ask.prompts), ask.include_usage
        )
        prompts = [
            replace(prompt, options=seeded(prompt.options, number)) for prompt in ask.prompts for number in range(ask.n)
        ]
        answers = [generate(self._services, prompt) for prompt in prompts]
        items = answers[0] if len(answers) == 1 else merge_answers(answers)
        return Answer(items, TextCompletionWriter(writer), stream=ask.stream)

    def _chats(self, ask: ChatRequest, n: int) -> AsyncGenerator[Chunk, None]:
        if n == 1:
            return chat(self._services, ask)
        asks = [replace(ask, options=seeded(ask.options, number)) for number in range(n)]
        return merge_answers([chat(self._services, one) for one in asks])

    async def models(self, request: Request) -> Response:
        """GET /v1/models, which Anthropic's API has too; its clients send a header of theirs."""
        records = await list_models(self._services)
        if ANTHROPIC_HEADER in request.headers:
            return Response(anthropic.encode(anthropic.model_list(records)), media_type=JSON)
        return Response(openai.encode(openai.ModelList([_entry(record) for record in records])), media_type=JSON)

    async def model(self, request: Request) -> Response:
        """GET /v1/models/{model}."""
        asked = request.path_params["model"]
        record = await find_model(self._services, asked)
        if ANTHROPIC_HEADER in request.headers:
            return Response(anthropic.encode(anthropic.model_entry(record, asked)), media_type=JSON)
        return Response(openai.encode(_entry(record, asked)), media_type=JSON)


def _entry(record: ModelRecord, shown_id: str = "") -> openai.Model:
    return openai.model_entry(record, int(datetime.fromisoformat(record.modified_at).timestamp()), shown_id)
