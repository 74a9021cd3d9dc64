"""Writes the bodies of requests to files, where somebody wants to see what a client really sends."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT_BYTES = 16 << 20  # of one body

logger = logging.getLogger("ollamapy.server")


class RequestLog:
    """ASGI application that writes each body that another one receives to a file of a folder.

    Without a folder a private one is made, which lasts until somebody deletes it; the log says where it is.
    """

    def __init__(self, app: ASGIApp, folder: Path | None = None) -> None:
        self._app = app
        self._folder = folder or Path(tempfile.mkdtemp(prefix="ollamapy-requests-"))
        logger.warning("bodies of requests are written to %s, prompts included", self._folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request, and write its body once it was received."""
        if scope["type"] != "http" or scope["path"].startswith("/api/blobs/"):
            await self._app(scope, receive, send)
            return
        kept = bytearray()

        async def receive_and_keep() -> Message:
            message = await receive()
            kept.extend(message.get("body", b"")[: KEPT_BYTES - len(kept)])
            return message

        try:
            await self._app(scope, receive_and_keep, send)
        finally:
            if kept:
                await asyncio.to_thread(self._write, scope, bytes(kept))

    def _write(self, scope: Scope, body: bytes) -> None:
        route = re.sub(r"[^a-z0-9]+", "-", scope["path"].lower()).strip("-")[:64]
        path = self._folder / f"{scope['state']['request_id']}-{route}.json"
        path.touch(mode=0o600)
        path.write_bytes(body)
