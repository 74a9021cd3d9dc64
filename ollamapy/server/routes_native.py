"""The routes of Ollama's own API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ollamapy.actions.blobs import has_blob, receive_blob
from ollamapy.actions.chat import chat
from ollamapy.actions.copy import copy
from ollamapy.actions.create import create
from ollamapy.actions.delete import delete
from ollamapy.actions.generate import generate
from ollamapy.actions.list import list_models
from ollamapy.actions.prune import prune
from ollamapy.actions.ps import list_loaded, list_waiting
from ollamapy.actions.pull import pull
from ollamapy.actions.push import push
from ollamapy.actions.render import render
from ollamapy.actions.services import Services
from ollamapy.actions.show import show
from ollamapy.actions.tokens import detokenize, tokenize
from ollamapy.actions.update import check_update
from ollamapy.dialects import native
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.native_requests import (
    chat_request,
    create_request,
    generate_request,
    model_name,
    read_tokens,
    transfer_request,
)
from ollamapy.errors import InvalidInputError
from ollamapy.options import parse_options
from ollamapy.server.body import part_stream, read_fields
from ollamapy.server.openapi import encode_document
from ollamapy.server.stream import JSON, Answer
from ollamapy.server.writers import ChatWriter, GenerateWriter, ProgressWriter
from ollamapy.types import Chunk, Progress
from ollamapy.version import OLLAMA_VERSION, __version__

NAME = "ollamapy"
COPILOT = "GitHubCopilotChat/"


class NativeRoutes:
    """One method per route; each reads the request, asks an action and writes its answer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/", self.greet, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/api/version", self.version, methods=["GET"]),
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/ps", self.ps, methods=["GET"]),
            Route("/api/show", self.show, methods=["POST"]),
            Route("/api/chat", self.chat, methods=["POST"]),
            Route("/api/generate", self.generate, methods=["POST"]),
            Route("/api/create", self.create, methods=["POST"]),
            Route("/api/pull", self.pull, methods=["POST"]),
            Route("/api/push", self.push, methods=["POST"]),
            Route("/api/prune", self.prune, methods=["POST"]),
            Route("/api/update", self.update, methods=["POST"]),
            Route("/api/copy", self.copy, methods=["POST"]),
            Route("/api/delete", self.delete, methods=["DELETE"]),
            Route("/api/blobs/{digest}", self.probe_blob, methods=["HEAD"]),
            Route("/api/blobs/{digest}", self.receive_blob, methods=["POST"]),
            Route("/api/render", self.render, methods=["POST"]),
            Route("/api/tokenize", self.tokenize, methods=["POST"]),
            Route("/api/detokenize", self.detokenize, methods=["POST"]),
        )

    async def greet(self, _request: Request) -> Response:
        """GET /: the text that tells clients that a server runs."""
        return PlainTextResponse("Ollama is running")

    async def health(self, _request: Request) -> Response:
        """GET /health."""
        return _json(native.HealthRecord())

    async def openapi(self, _request: Request) -> Response:
        """GET /openapi.json: the description of all routes."""
        return Response(await asyncio.to_thread(encode_document), media_type="application/json")

    async def version(self, _request: Request) -> Response:
        """GET /api/version."""
        return _json(native.VersionRecord(version=OLLAMA_VERSION, name=NAME, ollamapy_version=__version__))

    async def tags(self, _request: Request) -> Response:
        """GET /api/tags."""
        return _json(native.ListRecord(models=await list_models(self._services)))

    async def ps(self, _request: Request) -> Response:
        """GET /api/ps."""
        models, waiting = await list_loaded(self._services), list_waiting(self._services)
        return _json(native.LoadedListRecord(models=models, waiting=waiting))

    async def show(self, request: Request) -> Response:
        """POST /api/show."""
        fields = await self._read(request)
        asked = model_name(fields)
        options = parse_options(fields.mapping("options") or {})
        shown = await show(
            self._services, asked, verbose=fields.flag("verbose"), system=fields.text("system"), options=options
        )
        if request.headers.get("user-agent", "").startswith(COPILOT):
            shown.model_info["general.basename"] = asked  # which it takes for the name to send back
        return _json(shown)

    async def chat(self, request: Request) -> Answer[Chunk]:
        """POST /api/chat."""
        ask = chat_request(await self._read(request))
        return Answer(chat(self._services, ask), ChatWriter(ask.model), stream=ask.stream)

    async def generate(self, request: Request) -> Answer[Chunk]:
        """POST /api/generate."""
        ask = generate_request(await self._read(request))
        return Answer(generate(self._services, ask), GenerateWriter(ask.model), stream=ask.stream)

    async def create(self, request: Request) -> Answer[Progress]:
        """POST /api/create."""
        ask = create_request(await self._read(request))
        return Answer(create(self._services, ask), ProgressWriter(), stream=ask.stream)

    async def pull(self, request: Request) -> Answer[Progress]:
        """POST /api/pull."""
        ask = transfer_request(await self._read(request))
        return Answer(pull(self._services, ask), ProgressWriter(), stream=ask.stream)

    async def push(self, request: Request) -> Answer[Progress]:
        """POST /api/push."""
        ask = transfer_request(await self._read(request))
        return Answer(push(self._services, ask), ProgressWriter(), stream=ask.stream)

    async def prune(self, request: Request) -> Response:
        """POST /api/prune."""
        fields = await self._read(request)
        return _json(await prune(self._services, dry_run=fields.flag("dry_run")))

    async def update(self, request: Request) -> Response:
        """POST /api/update: whether the registry has a newer version; `/api/pull` fetches it."""
        fields = await self._read(request)
        return _json(await check_update(self._services, model_name(fields), only_pulled=fields.flag("only_pulled")))

    async def copy(self, request: Request) -> Response:
        """POST /api/copy."""
        fields = await self._read(request)
        await copy(self._services, fields.text("source"), fields.text("destination"))
        return Response()

    async def delete(self, request: Request) -> Response:
        """DELETE /api/delete."""
        await delete(self._services, model_name(await self._read(request)))
        return Response()

    async def probe_blob(self, request: Request) -> Response:
        """HEAD /api/blobs/{digest}."""
        return Response(status_code=200 if await has_blob(self._services, request.path_params["digest"]) else 404)

    async def receive_blob(self, request: Request) -> Response:
        """POST /api/blobs/{digest}: 201 for a new blob, 200 for one that is there."""
        is_new = await receive_blob(self._services, request.path_params["digest"], part_stream(request))
        return Response(status_code=201 if is_new else 200)

    async def render(self, request: Request) -> Response:
        """POST /api/render: the prompt of a request to /api/chat, or to /api/generate where it has no messages."""
        fields = await self._read(request)
        ask = generate_request(fields) if fields.raw("messages") is None else chat_request(fields)
        return _json(native.PromptRecord(model=ask.model, prompt=await render(self._services, ask)))

    async def tokenize(self, request: Request) -> Response:
        """POST /api/tokenize."""
        fields = await self._read(request)
        model = fields.text("model")
        if fields.raw("content") is None and fields.raw("text") is None:
            raise InvalidInputError('field "content" is missing: the text to turn into tokens')
        tokens = await tokenize(self._services, model, fields.text("content") or fields.text("text"))
        return _json(native.TokensRecord(model=model, tokens=tokens))

    async def detokenize(self, request: Request) -> Response:
        """POST /api/detokenize."""
        fields = await self._read(request)
        model = fields.text("model")
        if fields.raw("tokens") is None:
            raise InvalidInputError('field "tokens" is missing: the token ids to turn into text')
        text = await detokenize(self._services, model, read_tokens(fields, "tokens"))
        return _json(native.TextRecord(model=model, content=text))

    async def _read(self, request: Request) -> Fields:
        return await read_fields(request, self._services.settings.max_body_bytes)


def _json(record: native.Record) -> Response:
    return Response(native.encode(record), media_type=JSON)
