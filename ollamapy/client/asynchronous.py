"""The asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import httpcore

from ollamapy.client import calls
from ollamapy.client.answers import Lines, decode
from ollamapy.client.calls import Call
from ollamapy.client.endpoint import BROKEN, NO_CONNECTION, make_endpoint
from ollamapy.client.failures import Presence, failure, interrupted, presence, unreachable
from ollamapy.dialects.native import (
    ChatRecord,
    GenerateRecord,
    ListRecord,
    LoadedListRecord,
    ProgressRecord,
    PromptRecord,
    PruneRecord,
    Record,
    ShowRecord,
    TextRecord,
    TokensRecord,
    UpdateRecord,
    VersionRecord,
)
from ollamapy.dialects.native_embed import EmbedAnswer, RerankRecord
from ollamapy.errors import BlobNotFoundError
from ollamapy.types import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, RerankRequest

R = TypeVar("R", bound=Record)


class AsyncClient:
    """What `Client` does, without blocking; any number of requests may run at once."""

    def __init__(
        self, host: str | None = None, api_key: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        self._endpoint = make_endpoint(host, api_key, timeout_seconds)
        self._pool = httpcore.AsyncConnectionPool(max_connections=None, keepalive_expiry=15.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncClient {self._endpoint.base_url}>"

    @property
    def base_url(self) -> str:
        """The address of the server, without a slash at its end."""
        return self._endpoint.base_url

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def probe(self) -> Presence:
        """Tell who answers at the address; raises nothing for an address that is silent or strange.

        A daemon that dies may still take a connection: a stranger is asked twice.
        """
        first = await self._ask_presence()
        return await self._ask_presence() if first == "foreign" else first

    async def _ask_presence(self) -> Presence:
        """Tell who answers at this moment."""
        call = calls.version()
        try:
            async with self._send(call, is_probe=True) as response:
                return presence(response.status, await response.aread())
        except NO_CONNECTION:
            return "absent"
        except BROKEN:
            return "foreign"

    async def is_running(self) -> bool:
        """Whether a server of this API answers."""
        return await self.probe() == "running"

    async def version(self) -> VersionRecord:
        """Return the server's version."""
        return await self._ask(calls.version(), VersionRecord)

    async def list(self) -> ListRecord:
        """Return all models of the store, the newest first."""
        return await self._ask(calls.list_models(), ListRecord)

    async def ps(self) -> LoadedListRecord:
        """Return the models that are in memory."""
        return await self._ask(calls.list_loaded(), LoadedListRecord)

    async def show(self, model: str, *, verbose: bool = False) -> ShowRecord:
        """Return everything about one model; raises ModelNotFoundError."""
        return await self._ask(calls.show(model, verbose=verbose), ShowRecord)

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatRecord, None]:
        """Stream the next turn of a chat."""
        return self._stream(calls.chat(request), ChatRecord)

    def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateRecord, None]:
        """Stream the answer to one prompt; an empty prompt loads the model."""
        return self._stream(calls.generate(request), GenerateRecord)

    def create(self, request: CreateRequest) -> AsyncGenerator[ProgressRecord, None]:
        """Make a model and stream the steps."""
        return self._stream(calls.create(request), ProgressRecord)

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Return the vectors of texts, in their order; raises ModelNotFoundError."""
        return await self._ask(calls.embed(request), EmbedAnswer)

    async def rerank(self, request: RerankRequest) -> RerankRecord:
        """Return documents by how well they answer a query, the best first; raises ModelNotFoundError."""
        return await self._ask(calls.rerank(request), RerankRecord)

    def pull(self, model: str, *, insecure: bool = False) -> AsyncGenerator[ProgressRecord, None]:
        """Fetch a model from its registry and stream the steps."""
        return self._stream(calls.pull(model, insecure=insecure), ProgressRecord)

    def push(self, model: str, *, insecure: bool = False) -> AsyncGenerator[ProgressRecord, None]:
        """Send a model to its registry and stream the steps."""
        return self._stream(calls.push(model, insecure=insecure), ProgressRecord)

    async def check_update(self, model: str, *, only_pulled: bool = False) -> UpdateRecord:
        """Tell whether the registry has a newer version of a model; raises ModelNotFoundError."""
        return await self._ask(calls.check_update(model, only_pulled=only_pulled), UpdateRecord)

    async def prune(self, *, dry_run: bool = False) -> PruneRecord:
        """Remove what no model needs and return it; `dry_run` only returns it."""
        return await self._ask(calls.prune(dry_run=dry_run), PruneRecord)

    async def render(self, request: ChatRequest | GenerateRequest) -> PromptRecord:
        """Return the prompt that a request would give the model."""
        return await self._ask(calls.render(request), PromptRecord)

    async def tokenize(self, model: str, text: str) -> TokensRecord:
        """Return the tokens of a text; raises ModelNotFoundError."""
        return await self._ask(calls.tokenize(model, text), TokensRecord)

    async def detokenize(self, model: str, tokens: Sequence[int]) -> TextRecord:
        """Return the text of tokens; raises ModelNotFoundError."""
        return await self._ask(calls.detokenize(model, tokens), TextRecord)

    async def unload(self, model: str) -> None:
        """Take a model out of memory; raises ModelNotFoundError."""
        await self._read(calls.unload(model))

    async def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; raises ModelNotFoundError."""
        await self._read(calls.copy(source, destination))

    async def delete(self, model: str) -> None:
        """Remove a model; raises ModelNotFoundError."""
        await self._read(calls.delete(model))

    async def has_blob(self, digest: str) -> bool:
        """Whether the server's store has this blob; `digest` is `sha256:` and 64 hex digits."""
        try:
            await self._read(calls.has_blob(digest))
        except BlobNotFoundError:
            return False
        return True

    async def upload_blob(self, digest: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Send a blob of known size; raises InvalidInputError if the content has another digest."""
        await self._read(calls.upload_blob(digest), content, size_bytes)

    async def _ask(self, call: Call, record: type[R]) -> R:
        return decode(await self._read(call), record, call)

    async def _read(
        self, call: Call, content: AsyncIterator[bytes] | None = None, size_bytes: int | None = None
    ) -> bytes:
        async with self._open(call, content, size_bytes) as response:
            return await response.aread()

    async def _stream(self, call: Call, record: type[R]) -> AsyncGenerator[R, None]:
        lines = Lines()
        async with self._open(call) as response:
            async for piece in response.aiter_stream():
                for line in lines.feed(piece):
                    yield decode(line, record, call)
            for line in lines.end():
                yield decode(line, record, call)

    @asynccontextmanager
    async def _open(
        self, call: Call, content: AsyncIterator[bytes] | None = None, size_bytes: int | None = None
    ) -> AsyncIterator[httpcore.Response]:
        """Send a call and hand over its answer once the status says that it is one."""
        try:
            async with self._send(call, content, size_bytes) as response:
                if response.status >= 400:
                    raise failure(response.status, await response.aread(), call)
                yield response
        except NO_CONNECTION as exc:
            raise unreachable(self.base_url) from exc
        except BROKEN as exc:
            raise interrupted(self.base_url) from exc

    @asynccontextmanager
    async def _send(
        self,
        call: Call,
        content: AsyncIterator[bytes] | None = None,
        size_bytes: int | None = None,
        *,
        is_probe: bool = False,
    ) -> AsyncIterator[httpcore.Response]:
        async with self._pool.stream(
            call.method,
            self._endpoint.url(call),
            headers=self._endpoint.headers(call, size_bytes),
            content=content or call.body or None,
            extensions=self._endpoint.extensions(is_probe=is_probe),
        ) as response:
            yield response
