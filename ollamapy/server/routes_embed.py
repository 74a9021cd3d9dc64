"""The routes of both APIs that compute with embedding models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from ollamapy.actions.embed import embed
from ollamapy.actions.rerank import rerank
from ollamapy.actions.services import Services
from ollamapy.dialects import native, native_embed, openai_embed
from ollamapy.dialects.fields import Fields
from ollamapy.server.body import read_fields
from ollamapy.server.stream import WholeAnswer

OPENAI_JSON = "application/json"


class EmbedRoutes:
    """One method per route; each reads the request, asks an action and writes its answer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/api/embed", self.embed, methods=["POST"]),
            Route("/api/embeddings", self.embedding, methods=["POST"]),
            Route("/api/rerank", self.rerank, methods=["POST"]),
            Route("/v1/embeddings", self.openai_embeddings, methods=["POST"]),
            Route("/v1/rerank", self.openai_rerank, methods=["POST"]),
        )

    async def embed(self, request: Request) -> WholeAnswer:
        """POST /api/embed."""
        ask = native_embed.embed_request(await self._read(request))

        async def answer() -> bytes:
            return await asyncio.to_thread(native_embed.embed_body, ask.model, await embed(self._services, ask))

        return WholeAnswer(answer)

    async def embedding(self, request: Request) -> WholeAnswer:
        """POST /api/embeddings."""
        ask = native_embed.embedding_request(await self._read(request))

        async def answer() -> bytes:
            return native_embed.embedding_body(await embed(self._services, ask))

        return WholeAnswer(answer)

    async def rerank(self, request: Request) -> WholeAnswer:
        """POST /api/rerank."""
        ask = native_embed.rerank_request(await self._read(request))

        async def answer() -> bytes:
            return native.encode(native_embed.rerank_record(ask, await rerank(self._services, ask)))

        return WholeAnswer(answer)

    async def openai_embeddings(self, request: Request) -> WholeAnswer:
        """POST /v1/embeddings."""
        ask = openai_embed.embeddings_request(await self._read(request))

        async def answer() -> bytes:
            return await asyncio.to_thread(openai_embed.embeddings_body, ask, await embed(self._services, ask.embed))

        return WholeAnswer(answer, OPENAI_JSON)

    async def openai_rerank(self, request: Request) -> WholeAnswer:
        """POST /v1/rerank."""
        ask = native_embed.rerank_request(await self._read(request))

        async def answer() -> bytes:
            return openai_embed.rerank_body(ask, await rerank(self._services, ask))

        return WholeAnswer(answer, OPENAI_JSON)

    async def _read(self, request: Request) -> Fields:
        return await read_fields(request, self._services.settings.max_body_bytes)
