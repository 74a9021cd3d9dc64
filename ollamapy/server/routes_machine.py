"""Routes about the machine: whether models can be served, and what they would take."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ollamapy.actions.estimate import estimate_model
from ollamapy.actions.ready import check_ready
from ollamapy.actions.services import Services
from ollamapy.dialects import native
from ollamapy.dialects.native_requests import model_name
from ollamapy.errors import OllamapyError
from ollamapy.options import parse_options
from ollamapy.server.body import read_fields
from ollamapy.server.stream import JSON

UNREADY = 503


class MachineRoutes:
    """One method per route."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route table."""
        return (
            Route("/ready", self.ready, methods=["GET"]),
            Route("/api/estimate", self.estimate, methods=["POST"]),
        )

    async def ready(self, request: Request) -> Response:
        """GET /ready: 200 if a model could be served now, the one that `?model=` names if it does; else 503."""
        try:
            await check_ready(self._services, request.query_params.get("model", ""))
        except OllamapyError as exc:
            record = native.ReadyRecord(status="unready", reason=exc.message)
            return Response(native.encode(record), UNREADY, media_type=JSON)
        return Response(native.encode(native.ReadyRecord(status="ready")), media_type=JSON)

    async def estimate(self, request: Request) -> Response:
        """POST /api/estimate."""
        fields = await read_fields(request, self._services.settings.max_body_bytes)
        options = parse_options(fields.mapping("options") or {})
        return Response(
            native.encode(await estimate_model(self._services, model_name(fields), options)), media_type=JSON
        )
