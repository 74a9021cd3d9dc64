"""A small server of Ollama's API that keeps its models in memory, remembers what was asked, and fails on request.

The prompt's first word chooses the answer: `think`, `fail` (an error as the last line), `drop` (the connection breaks),
`endless` (pieces until the client goes away), `busy` (503), anything else is echoed word by word.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

CREATED_AT = "2026-01-02T03:04:05.123456789Z"
METRICS = {
    "done_reason": "stop", "total_duration": 2_500_000_000, "load_duration": 1_000_000, "prompt_eval_count": 4,
    "prompt_eval_duration": 200_000_000, "eval_count": 10, "eval_duration": 1_000_000_000,
}  # fmt: skip
EMBED_METRICS = {"total_duration": 2_500_000_000, "load_duration": 1_000_000, "prompt_eval_count": 4}
DETAILS = {
    "parent_model": "", "format": "gguf", "family": "llama", "families": None, "parameter_size": "1.2B",
    "quantization_level": "Q8_0",
}  # fmt: skip
SHOWN = {
    "license": "MIT License\n\nCopyright\nPermission is granted", "modelfile": "FROM x\n", "template": "{{ .Prompt }}",
    "system": "Be brief.", "details": DETAILS, "modified_at": "2026-01-02T03:04:05.123456789+02:00",
    "parameters": 'stop                           "<|end of turn|>"\ntemperature                    0.5',
    "model_info": {
        "general.architecture": "llama", "general.parameter_count": 1_235_814_400, "llama.context_length": 8192,
        "llama.embedding_length": 64, "tokenizer.ggml.tokens": ["a", "b", "c", "d"],
    },
    "tensors": [{"name": "output.weight", "type": "Q8_0", "shape": [64, 256]}],
    "capabilities": ["completion"],
}  # fmt: skip


class FakeOllama:
    """The state of the server; `requests` holds (method, path, headers, JSON body) of all that came."""

    def __init__(self) -> None:
        self.api_key = ""
        self.refuses_create = ""
        self.models: dict[str, dict[str, Any]] = {}
        self.remote: set[str] = set()  # what can be pulled
        self.states: dict[str, str] = {}  # what /api/update answers, "current" where nothing stands
        self.unreachable: set[str] = set()  # whose registry does not answer /api/update
        self.loaded: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []  # requests of /api/ps that have no model yet
        self.estimate: dict[str, Any] = {}  # what /api/estimate answers
        self.blobs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.client_ports: set[int] = set()
        self.client_left = threading.Event()
        self.version: dict[str, str] = {"version": "0.33.0", "name": "ollamapy", "ollamapy_version": "0.1.0"}
        self.pull_steps: list[dict[str, Any]] = []  # in place of the usual ones
        self.answers_loads = threading.Event()  # while it is not set, who asks for a load waits
        self.answers_loads.set()
        self.metrics: dict[str, Any] = dict(METRICS)
        self.base_url = ""

    def add(self, name: str, **shown: Any) -> None:
        """Put a model into the store; `shown` replaces fields of /api/show."""
        self.models[name] = {**SHOWN, **shown}

    def load(self, name: str, **loaded: Any) -> None:
        """Put a model into memory; `loaded` replaces fields of /api/ps."""
        usual = {"expires_at": "2318-01-01T00:00:00Z", "size_vram": 0, "context_length": 4096}
        self.loaded.append({**self._listed(name), **usual, **loaded})

    def paths(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for _, asked, _, _ in self.requests)

    def body(self, path: str) -> Any:
        """The JSON of the last request to a path."""
        return [body for _, asked, _, body in self.requests if asked == path][-1]

    def app(self) -> Starlette:
        """The server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/api/version", self._version), Route("/api/tags", self._tags), Route("/api/ps", self._ps),
                Route("/api/estimate", self._estimate, methods=["POST"]),
                Route("/api/show", self._show, methods=["POST"]), Route("/api/chat", self._chat, methods=["POST"]),
                Route("/api/generate", self._generate, methods=["POST"]),
                Route("/api/embed", self._embed, methods=["POST"]),
                Route("/api/rerank", self._rerank, methods=["POST"]),
                Route("/api/create", self._create, methods=["POST"]),
                Route("/api/pull", self._pull, methods=["POST"]),
                Route("/api/update", self._update, methods=["POST"]),
                Route("/api/copy", self._copy, methods=["POST"]),
                Route("/api/delete", self._delete, methods=["DELETE"]),
                Route("/api/blobs/{digest}", self._has_blob, methods=["HEAD"]),
                Route("/api/blobs/{digest}", self._upload, methods=["POST"]),
            ]
        )  # fmt: skip

    async def _read(self, request: Request) -> Any:
        raw = await request.body()
        body = json.loads(raw) if raw.startswith(b"{") else raw
        self.requests.append((request.method, request.url.path, dict(request.headers), body))
        assert request.client is not None
        self.client_ports.add(request.client.port)
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return None
        return body

    async def _version(self, request: Request) -> Response:
        if await self._read(request) is None:
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse(self.version)

    async def _tags(self, request: Request) -> Response:
        if await self._read(request) is None:
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse({"models": [self._listed(name) for name in self.models]})

    def _listed(self, name: str) -> dict[str, Any]:
        return {
            "name": name, "model": name, "size": 2_019_393_189, "digest": hashlib.sha256(name.encode()).hexdigest(),
            "details": DETAILS, "modified_at": self.models[name]["modified_at"], "capabilities": ["completion"],
        }  # fmt: skip

    async def _ps(self, request: Request) -> Response:
        await self._read(request)
        return JSONResponse({"models": self.loaded, "waiting": self.waiting})

    async def _estimate(self, request: Request) -> Response:
        body = await self._read(request)
        return self._missing(body["model"]) or JSONResponse(self.estimate)

    async def _show(self, request: Request) -> Response:
        body = await self._read(request)
        return self._missing(body["model"]) or JSONResponse(self.models[body["model"]])

    def _missing(self, name: str) -> Response | None:
        return None if name in self.models else JSONResponse({"error": f"model '{name}' not found"}, 404)

    async def _chat(self, request: Request) -> Response:
        body = await self._read(request)
        prompt = body["messages"][-1]["content"]
        return self._missing(body["model"]) or self._answer(request, body, prompt, is_chat=True)

    async def _generate(self, request: Request) -> Response:
        body = await self._read(request)
        if missing := self._missing(body["model"]):
            return missing
        if not body.get("prompt"):
            await asyncio.to_thread(self.answers_loads.wait)
            reason = "unload" if body.get("keep_alive") == 0 else "load"
            return JSONResponse({**self._piece(body, "", "", is_chat=False), "done": True, "done_reason": reason})
        return self._answer(request, body, body["prompt"], is_chat=False)

    async def _embed(self, request: Request) -> Response:
        body = await self._read(request)
        vectors = [[0.5, -float(len(text))][: body.get("dimensions")] for text in body["input"]]
        cut = sum("long" in text for text in body["input"])
        if cut and body.get("truncate") is False:
            return JSONResponse({"error": "the input length exceeds the context length"}, 400)
        answer = {"model": body["model"], "embeddings": vectors, **EMBED_METRICS, "truncated_inputs": cut}
        return self._missing(body["model"]) or JSONResponse(answer)

    async def _rerank(self, request: Request) -> Response:
        body = await self._read(request)
        results = [{"index": 0, "relevance_score": 0.5}]
        return self._missing(body["model"]) or JSONResponse(
            {"model": body["model"], "results": results, **EMBED_METRICS}
        )

    def _answer(self, request: Request, body: Any, prompt: str, *, is_chat: bool) -> Response:
        if prompt.startswith("busy"):
            return JSONResponse({"error": "server busy, please try again."}, 503)
        pieces = self._pieces(request, prompt)

        async def lines() -> AsyncIterator[bytes]:
            try:
                async for piece in pieces:
                    record = piece if isinstance(piece, dict) else self._piece(body, *piece, is_chat=is_chat)
                    yield json.dumps(record).encode() + b"\n"
            finally:
                self.client_left.set()

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def _pieces(self, request: Request, prompt: str) -> AsyncIterator[Any]:
        word = prompt.split()[0]
        if word == "think":
            yield "Let me ", ""
            yield "see.", ""
        elif word == "fail":
            yield "", "Half an"
            yield {"error": "the worker fell over"}
            return
        elif word == "drop":
            yield "", "Half an"
            raise ConnectionError("dropped on purpose")
        while word == "endless":
            yield "", "more "
            await asyncio.sleep(0.01)
        for piece in prompt.split(" "):
            yield "", f"{piece} "
        yield {"message": {"role": "assistant", "content": ""}, "response": "", "model": "m", "created_at": CREATED_AT,
               "done": True, **self.metrics}  # fmt: skip

    def _piece(self, body: Any, thinking: str, content: str, *, is_chat: bool) -> dict[str, Any]:
        extra = {"thinking": thinking} if thinking else {}
        said = (
            {"message": {"role": "assistant", "content": content, **extra}}
            if is_chat
            else {"response": content, **extra}
        )
        return {"model": body["model"], "created_at": CREATED_AT, **said, "done": False}

    async def _create(self, request: Request) -> Response:
        body = await self._read(request)
        unknown = [digest for digest in body.get("files", {}).values() if digest not in self.blobs]
        self.add(body["model"])
        steps: list[dict[str, Any]] = [
            {"status": "parsing GGUF"},
            {"status": "writing manifest"},
            {"status": "success"},
        ]
        if self.refuses_create or unknown:
            steps = [steps[0], {"error": self.refuses_create or f"blob {unknown[0]} not found"}]
        return StreamingResponse((json.dumps(step) + "\n" for step in steps), media_type="application/x-ndjson")

    async def _pull(self, request: Request) -> Response:
        name = (await self._read(request))["model"]
        steps: list[dict[str, Any]] = [{"status": "pulling manifest"}]
        if name in self.remote:
            self.add(name)
            layer = {"status": "pulling 0123456789ab", "digest": "sha256:" + "0" * 64, "total": 2_000_000_000}
            steps += [{**layer, "completed": count} for count in (10**9, 2 * 10**9)] + [{"status": "success"}]
            steps = self.pull_steps or steps
        else:
            steps.append({"error": "pull model manifest: file does not exist"})
        return StreamingResponse((json.dumps(step) + "\n" for step in steps), media_type="application/x-ndjson")

    async def _update(self, request: Request) -> Response:
        name = (await self._read(request))["model"]
        state = self.states.get(name, "current")
        if name in self.unreachable:
            return JSONResponse({"error": "the registry can't be reached", "kind": "registry"}, 502)
        return self._missing(name) or JSONResponse({"model": name, "digest": "0" * 64, "state": state})

    async def _copy(self, request: Request) -> Response:
        body = await self._read(request)
        if missing := self._missing(body["source"]):
            return missing
        self.models[body["destination"]] = self.models[body["source"]]
        return Response()

    async def _delete(self, request: Request) -> Response:
        body = await self._read(request)
        if missing := self._missing(body["model"]):
            return missing
        del self.models[body["model"]]
        return Response()

    async def _has_blob(self, request: Request) -> Response:
        await self._read(request)
        return Response(status_code=200 if request.path_params["digest"] in self.blobs else 404)

    async def _upload(self, request: Request) -> Response:
        content, digest = await request.body(), request.path_params["digest"]
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if found != digest:
            return JSONResponse({"error": f'digest mismatch, expected "{digest}", got "{found}"'}, 400)
        self.blobs[digest] = content
        return Response(status_code=201)


def other_app() -> Starlette:
    """A server of something else."""
    return Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("<html>hello</html>"))])


@contextmanager
def serving(app: Starlette, port: int = 0) -> Iterator[str]:
    """Serve an application on a free or a given port and yield its URL; the socket listens before this returns."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
