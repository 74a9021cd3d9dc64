"""A registry in memory whose answers a test bends as it likes, and a puller that asks it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ollamapy.actions.pull import pull
from ollamapy.actions.push import push
from ollamapy.actions.services import Services
from ollamapy.config import HostAddress, Registry, Settings
from ollamapy.registry import Limits, Pace, Remotes, Retries
from ollamapy.scheduler.spec import LoadedModel
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE, Store
from ollamapy.types import Progress, TransferRequest
from tests.fakes.ollama_api import serving

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
QUICK = Pace(min_part_bytes=64 << 10, max_part_bytes=1 << 20, stall_seconds=0.5, retries=Retries(4, 0.01, 0.05))
SHORT = Limits(silence_seconds=1.0, text_seconds=1.0)

Bend = Callable[[Request, Response], Response | Awaitable[Response]]


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(data: bytes, media_type: str = WEIGHTS_TYPE) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


class FakeRegistry:
    """Serves `blobs` and `manifests`; `bend` may replace the answer to any request. `requests` holds all that came."""

    def __init__(self) -> None:
        self.base_url = ""
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bend: Bend = lambda _request, response: response

    @property
    def host(self) -> str:
        return self.base_url.removeprefix("http://")

    def paths(self, part: str) -> list[str]:
        return [path for _, path, _ in self.requests if part in path]

    def add(self, name: str, *layers: bytes, config: bytes = b"{}") -> dict[str, Any]:
        """Put a model there whose first layer is its weights; returns its manifest."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": layer(config, CONFIG_TYPE),
            "layers": [layer(data, WEIGHTS_TYPE if not i else f"test/{i}") for i, data in enumerate(layers)],
        }
        self.blobs.update((digest_of(data), data) for data in (*layers, config))
        self.manifests[name] = json.dumps(manifest).encode()
        return manifest

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "HEAD", "POST", "PUT", "PATCH"])])

    async def _answer(self, request: Request) -> Response:
        self.requests.append((request.method, request.url.path, dict(request.headers)))
        response = self.bend(request, self._usual(request))
        return response if isinstance(response, Response) else await response

    def _usual(self, request: Request) -> Response:
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", request.url.path):
            data = self.manifests.get(f"{match[1]}:{match[2]}")
            return Response(data, media_type=MANIFEST_TYPE) if data is not None else JSONResponse({}, 404)
        if match := re.fullmatch(r"/v2/.+/blobs/(.+)", request.url.path):
            return ranged(request, self.blobs[match[1]]) if match[1] in self.blobs else JSONResponse({}, 404)
        return JSONResponse({}, 404)


def ranged(request: Request, data: bytes) -> Response:
    """Answer a range as a web server does."""
    if match := re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", "")):
        start, end = int(match[1]), min(int(match[2]) + 1, len(data))
        return Response(data[start:end], 206, {"content-range": f"bytes {start}-{end - 1}/{len(data)}"})
    return Response(data)


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    with serving(registry.app()) as registry.base_url:
        yield registry


class _NoScheduler:
    def loaded(self) -> list[LoadedModel]:
        return []


class Puller:
    """A store, and the registries that its owner may use."""

    def __init__(
        self, folder: Path, *registries: Registry, pace: Pace = QUICK, limits: Limits = SHORT, **remotes: Any
    ) -> None:
        self.store = Store(folder / "models")
        self.settings = Settings(host=HostAddress(), models_dir=self.store.root)
        self._remotes = lambda: Remotes(registries, pace=pace, limits=limits, **remotes)

    async def services(self) -> Services:
        return Services(self.settings, self.store, _NoScheduler(), lambda: 0.0, remotes=self._remotes())  # type: ignore[arg-type]

    def pull(self, model: str) -> list[Progress]:
        """Pull a model and return the steps; raises what ended it."""
        return asyncio.run(self._gather(pull, model))

    def push(self, model: str) -> list[Progress]:
        """Push a model and return the steps; raises what ended it."""
        return asyncio.run(self._gather(push, model))

    async def _gather(self, action: Any, model: str) -> list[Progress]:
        services = await self.services()
        try:
            async with aclosing(action(services, TransferRequest(model))) as steps:
                return [step async for step in steps]
        finally:
            await services.remotes.close()

    def tree(self) -> dict[str, bytes]:
        """Every file around and in the store but for what is unfinished."""
        root = self.store.root.parent
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(p.relative_to(root)): p.read_bytes() for p in files if "uploads" not in p.parts}


def plain(registry: FakeRegistry, **fields: Any) -> Registry:
    """How a fake registry is configured."""
    return Registry(host=registry.host, url=registry.base_url, **fields)
