"""Builds the ASGI application out of routes, guards and error handlers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ollamapy.actions.services import Services
from ollamapy.errors import OllamapyError
from ollamapy.server.errors import Failure, error_response, failure_of, is_anthropic, is_openai
from ollamapy.server.guard import Guard, policy_of
from ollamapy.server.request_log import RequestLog
from ollamapy.server.routes_anthropic import AnthropicRoutes
from ollamapy.server.routes_embed import EmbedRoutes
from ollamapy.server.routes_machine import MachineRoutes
from ollamapy.server.routes_native import NativeRoutes
from ollamapy.server.routes_openai import OpenaiRoutes
from ollamapy.server.routes_responses import ResponsesRoutes

CLIENT_GONE = 499
TEXTS = {404: "404 page not found", 405: "405 method not allowed"}

logger = logging.getLogger("ollamapy.server")


def build_app(
    services: Services, begin: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]
) -> ASGIApp:
    """Return the application; raises ConfigError where the settings would leave it open to everybody.

    `begin` runs beside the first requests, `close` is awaited when the application's lifespan ends.
    """
    policy = policy_of(services.settings)
    app = Starlette(
        routes=build_routes(services),
        lifespan=_lifespan(begin, close),
        exception_handlers={
            OllamapyError: _on_error,
            RecursionError: _on_error,
            HTTPException: _on_http_error,
            ClientDisconnect: _on_disconnect,
            Exception: _on_unexpected,
        },
    )
    served = RequestLog(app) if services.settings.debug_log_requests else app
    return RequestIds(Guard(served, policy))


def build_routes(services: Services) -> list[BaseRoute]:
    """Return all routes of all APIs."""
    tables = (NativeRoutes, MachineRoutes, OpenaiRoutes, ResponsesRoutes, EmbedRoutes, AnthropicRoutes)
    return [route for table in tables for route in table(services).routes()]


class RequestIds:
    """ASGI application that gives each response of another one an `x-request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request; the id is in `scope["state"]` too."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id
        names = (b"x-request-id", b"request-id") if is_anthropic(scope["path"]) else (b"x-request-id",)
        headers = [(name, request_id.encode()) for name in names]

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
                logger.debug("%s: %s %s: %d", request_id, scope["method"], scope["path"], message["status"])
            await send(message)

        await self._app(scope, receive, send_with_id)


def _lifespan(
    begin: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        beginning = asyncio.ensure_future(begin())
        try:
            yield
        finally:
            beginning.cancel()
            await asyncio.wait({beginning})
            await close()

    return lifespan


async def _on_error(request: Request, exc: Exception) -> Response:
    failure = failure_of(exc)
    told = failure.message if failure.status >= 500 else type(exc).__name__  # what a client sent stays out of the log
    level = logging.WARNING if failure.status >= 500 else logging.INFO
    request_id = request.state.request_id
    logger.log(level, "%s: %s %s: %d %s", request_id, request.method, request.url.path, failure.status, told)
    return error_response(failure, request.url.path, request_id)


async def _on_unexpected(request: Request, exc: Exception) -> Response:
    return error_response(failure_of(exc), request.url.path, request.state.request_id)


async def _on_http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    text = TEXTS.get(exc.status_code, exc.detail)
    if is_openai(request.url.path):
        return error_response(Failure(exc.status_code, text), request.url.path, request.state.request_id)
    return PlainTextResponse(text, exc.status_code, exc.headers)


async def _on_disconnect(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)
