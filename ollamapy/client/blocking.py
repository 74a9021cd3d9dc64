"""The blocking client."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
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
    EstimateRecord,
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
from ollamapy.types import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, Options, RerankRequest

R = TypeVar("R", bound=Record)


class Client:
    """One method per endpoint; errors of the server and of the way to it are OllamapyErrors.

    `host` has any form that OLLAMA_HOST may have. Streams are generators: closing one ends the request.
    """

    def __init__(
        self, host: str | None = None, api_key: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        self._endpoint = make_endpoint(host, api_key, timeout_seconds)
        self._pool = httpcore.ConnectionPool(max_connections=None, keepalive_expiry=15.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._endpoint.base_url}>"

    @property
    def base_url(self) -> str:
        """The address of the server, without a slash at its end."""
        return self._endpoint.base_url

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def probe(self) -> Presence:
        """Tell who answers at the address; raises nothing for an address that is silent or strange.

        A daemon that dies may still take a connection: a stranger is asked twice.
        """
        first = self._ask_presence()
        return self._ask_presence() if first == "foreign" else first

    def _ask_presence(self) -> Presence:
        """Tell who answers at this moment."""
        call = calls.version()
        try:
            with self._send(call, is_probe=True) as response:
                return presence(response.status, response.read())
        except NO_CONNECTION:
            return "absent"
        except BROKEN:
            return "foreign"

    def is_running(self) -> bool:
        """Whether a server of this API answers."""
        return self.probe() == "running"

    def version(self) -> VersionRecord:
        """Return the server's version."""
        return self._ask(calls.version(), VersionRecord)

    def list(self) -> ListRecord:
        """Return all models of the store, the newest first."""
        return self._ask(calls.list_models(), ListRecord)

    def ps(self) -> LoadedListRecord:
        """Return the models that are in memory."""
        return self._ask(calls.list_loaded(), LoadedListRecord)

    def show(self, model: str, *, verbose: bool = False) -> ShowRecord:
        """Return everything about one model; raises ModelNotFoundError."""
        return self._ask(calls.show(model, verbose=verbose), ShowRecord)

    def estimate(self, model: str, options: Options | None = None) -> EstimateRecord:
        """Return what a model takes in memory, stored or in a registry; raises ModelNotFoundError, RegistryError."""
        return self._ask(calls.estimate(model, options or Options()), EstimateRecord)

    def chat(self, request: ChatRequest) -> Generator[ChatRecord, None, None]:
        """Stream the next turn of a chat."""
        return self._stream(calls.chat(request), ChatRecord)

    def generate(self, request: GenerateRequest) -> Generator[GenerateRecord, None, None]:
        """Stream the answer to one prompt; an empty prompt loads the model."""
        return self._stream(calls.generate(request), GenerateRecord)

    def create(self, request: CreateRequest) -> Generator[ProgressRecord, None, None]:
        """Make a model and stream the steps."""
        return self._stream(calls.create(request), ProgressRecord)

    def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Return the vectors of texts, in their order; raises ModelNotFoundError."""
        return self._ask(calls.embed(request), EmbedAnswer)

    def rerank(self, request: RerankRequest) -> RerankRecord:
        """Return documents by how well they answer a query, the best first; raises ModelNotFoundError."""
        return self._ask(calls.rerank(request), RerankRecord)

    def pull(self, model: str, *, insecure: bool = False) -> Generator[ProgressRecord, None, None]:
        """Fetch a model from its registry and stream the steps."""
        return self._stream(calls.pull(model, insecure=insecure), ProgressRecord)

    def push(self, model: str, *, insecure: bool = False) -> Generator[ProgressRecord, None, None]:
        """Send a model to its registry and stream the steps."""
        return self._stream(calls.push(model, insecure=insecure), ProgressRecord)

    def check_update(self, model: str, *, only_pulled: bool = False) -> UpdateRecord:
        """Tell whether the registry has a newer version of a model; raises ModelNotFoundError."""
        return self._ask(calls.check_update(model, only_pulled=only_pulled), UpdateRecord)

    def prune(self, *, dry_run: bool = False) -> PruneRecord:
        """Remove what no model needs and return it; `dry_run` only returns it."""
        return self._ask(calls.prune(dry_run=dry_run), PruneRecord)

    def render(self, request: ChatRequest | GenerateRequest) -> PromptRecord:
        """Return the prompt that a request would give the model."""
        return self._ask(calls.render(request), PromptRecord)

    def tokenize(self, model: str, text: str) -> TokensRecord:
        """Return the tokens of a text; raises ModelNotFoundError."""
        return self._ask(calls.tokenize(model, text), TokensRecord)

    def detokenize(self, model: str, tokens: Sequence[int]) -> TextRecord:
        """Return the text of tokens; raises ModelNotFoundError."""
        return self._ask(calls.detokenize(model, tokens), TextRecord)

    def unload(self, model: str) -> None:
        """Take a model out of memory; raises ModelNotFoundError."""
        self._read(calls.unload(model))

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; raises ModelNotFoundError."""
        self._read(calls.copy(source, destination))

    def delete(self, model: str) -> None:
        """Remove a model; raises ModelNotFoundError."""
        self._read(calls.delete(model))

    def has_blob(self, digest: str) -> bool:
        """Whether the server's store has this blob; `digest` is `sha256:` and 64 hex digits."""
        try:
            self._read(calls.has_blob(digest))
        except BlobNotFoundError:
            return False
        return True

    def upload_blob(self, digest: str, content: Iterator[bytes], size_bytes: int) -> None:
        """Send a blob of known size; raises InvalidInputError if the content has another digest."""
        self._read(calls.upload_blob(digest), content, size_bytes)

    def _ask(self, call: Call, record: type[R]) -> R:
        return decode(self._read(call), record, call)

    def _read(self, call: Call, content: Iterator[bytes] | None = None, size_bytes: int | None = None) -> bytes:
        with self._open(call, content, size_bytes) as response:
            return response.read()

    def _stream(self, call: Call, record: type[R]) -> Generator[R, None, None]:
        lines = Lines()
        with self._open(call) as response:
            for piece in response.iter_stream():
                for line in lines.feed(piece):
                    yield decode(line, record, call)
            for line in lines.end():
                yield decode(line, record, call)

    @contextmanager
    def _open(
        self, call: Call, content: Iterator[bytes] | None = None, size_bytes: int | None = None
    ) -> Iterator[httpcore.Response]:
        """Send a call and hand over its answer once the status says that it is one."""
        try:
            with self._send(call, content, size_bytes) as response:
                if response.status >= 400:
                    raise failure(response.status, response.read(), call)
                yield response
        except NO_CONNECTION as exc:
            raise unreachable(self.base_url) from exc
        except BROKEN as exc:
            raise interrupted(self.base_url) from exc

    @contextmanager
    def _send(
        self,
        call: Call,
        content: Iterator[bytes] | None = None,
        size_bytes: int | None = None,
        *,
        is_probe: bool = False,
    ) -> Iterator[httpcore.Response]:
        with self._pool.stream(
            call.method,
            self._endpoint.url(call),
            headers=self._endpoint.headers(call, size_bytes),
            content=content or call.body or None,
            extensions=self._endpoint.extensions(is_probe=is_probe),
        ) as response:
            yield response
