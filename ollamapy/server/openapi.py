"""Describes the API as an OpenAPI document, out of the records that are sent and the bodies that are read.

Source: the OpenAPI Specification, version 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ollamapy.dialects import anthropic, bodies, bodies_v1, native, openai
from ollamapy.dialects.native_embed import EmbedAnswer, EmbeddingRecord, RerankRecord
from ollamapy.dialects.openai_completions import Completion
from ollamapy.dialects.openai_embed import EmbeddingList, RerankList
from ollamapy.dialects.responses import DeletedResponse, InputTokens, ResponseObject
from ollamapy.server.errors import is_anthropic, is_openai
from ollamapy.server.stream import EVENT_STREAM, NDJSON
from ollamapy.types import Json
from ollamapy.version import __version__

ABOUT = (
    "Ollama's API, OpenAI's and Anthropic's, answered by models on this machine. Field names match in any case, "
    "unknown fields are ignored, and null is the same as leaving a field out. Streams are JSON lines on Ollama's "
    "routes and server-sent events on the others."
)
PLACE = "#/components/schemas/{name}"
LINES = "A stream of such objects, one a line."
EVENTS = "A stream of server-sent events; the data of each is JSON."
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route, with the bodies that it takes and what a success may bring, nothing for no content.

    With `upload` the body is a file. `event` is a piece of the stream that may come instead of one answer.
    """

    method: Literal["get", "head", "post", "delete"]
    path: str
    summary: str
    bodies: tuple[type, ...] = ()
    answers: tuple[Any, ...] = ()
    event: Any = None
    status: int = 200
    upload: bool = False


def _get(path: str, summary: str, *answers: Any) -> Operation:
    return Operation("get", path, summary, answers=answers)


def _post(path: str, summary: str, body: type, *answers: Any) -> Operation:
    return Operation("post", path, summary, (body,), answers)


def _stream(path: str, summary: str, body: type, answer: Any, event: Any = None) -> Operation:
    return Operation("post", path, summary, (body,), (answer,), event or answer)


OPERATIONS = (
    _get("/", "Tell that a server runs", str),
    _get("/health", "Tell that HTTP is served", native.HealthRecord),
    _get("/ready", "Tell whether a model can be served", native.ReadyRecord),
    _get("/openapi.json", "Describe the API: this document", dict[str, Any]),
    _get("/api/version", "Tell the version", native.VersionRecord),
    _get("/api/tags", "List the stored models", native.ListRecord),
    _get("/api/ps", "List the loaded models", native.LoadedListRecord),
    _post("/api/show", "Tell about a model", bodies.ShowBody, native.ShowRecord),
    _stream("/api/chat", "Answer a chat", bodies.ChatBody, native.ChatRecord),
    _stream("/api/generate", "Answer a prompt", bodies.GenerateBody, native.GenerateRecord),
    _stream("/api/create", "Make a model", bodies.CreateBody, native.ProgressRecord),
    _stream("/api/pull", "Fetch a model from its registry", bodies.TransferBody, native.ProgressRecord),
    _stream("/api/push", "Send a model to its registry", bodies.TransferBody, native.ProgressRecord),
    _post("/api/update", "Tell whether a registry has a newer model", bodies.UpdateBody, native.UpdateRecord),
    _post("/api/prune", "Remove what no model needs", bodies.PruneBody, native.PruneRecord),
    _post("/api/copy", "Give a model a second name", bodies.CopyBody),
    Operation("delete", "/api/delete", "Remove a model", (bodies.ModelBody,)),
    Operation("head", "/api/blobs/{digest}", "Tell whether a blob is there"),
    Operation("post", "/api/blobs/{digest}", "Upload a blob for `create`", status=201, upload=True),
    Operation(
        "post",
        "/api/render",
        "Show the prompt of a chat or of `generate`",
        (bodies.ChatBody, bodies.GenerateBody),
        (native.PromptRecord,),
    ),
    _post("/api/estimate", "Tell what a model takes in memory", bodies.EstimateBody, native.EstimateRecord),
    _post("/api/tokenize", "Turn text into tokens", bodies.TokenizeBody, native.TokensRecord),
    _post("/api/detokenize", "Turn tokens into text", bodies.DetokenizeBody, native.TextRecord),
    _post("/api/embed", "Turn texts into vectors", bodies.EmbedBody, EmbedAnswer),
    _post("/api/embeddings", "Turn a text into a vector", bodies.EmbeddingBody, EmbeddingRecord[list[float]]),
    _post("/api/rerank", "Sort documents by a query", bodies.RerankBody, RerankRecord),
    _stream(
        "/v1/chat/completions",
        "Answer a chat",
        bodies_v1.ChatCompletionBody,
        openai.ChatCompletion,
        openai.ChatCompletionChunk,
    ),
    _stream("/v1/completions", "Go on with a text", bodies_v1.CompletionBody, Completion),
    _post("/v1/embeddings", "Turn texts into vectors", bodies_v1.V1EmbedBody, EmbeddingList),
    _post("/v1/rerank", "Sort documents by a query", bodies.RerankBody, RerankList),
    _get("/v1/models", "List the stored models", openai.ModelList, anthropic.ModelList),
    _get("/v1/models/{model}", "Tell about a model", openai.Model, anthropic.Model),
    _stream(
        "/v1/responses",
        "Answer a turn of a conversation",
        bodies_v1.ResponseBody,
        ResponseObject,
        dict[str, Any],
    ),
    _post("/v1/responses/input_tokens", "Count the tokens of a turn", bodies_v1.ResponseBody, InputTokens),
    _get("/v1/responses/{response_id}", "Read a response again", ResponseObject),
    Operation("delete", "/v1/responses/{response_id}", "Forget a response", answers=(DeletedResponse,)),
    _stream("/v1/messages", "Answer messages", bodies_v1.MessagesBody, anthropic.Message, dict[str, Any]),
    _post("/v1/messages/count_tokens", "Count the tokens of messages", bodies_v1.CountBody, anthropic.TokenCount),
)
WITH_OPTIONS = (bodies_v1.V1Body, bodies_v1.CountBody)  # Ollama's options may stand beside their fields


def encode_document() -> bytes:
    """Return the document as JSON; takes some milliseconds."""
    return msgspec.json.encode(build_document())


def build_document() -> Mapping[str, Json]:
    """Return the OpenAPI document of all routes."""
    errors = (native.ErrorRecord, openai.ErrorBody, anthropic.ErrorBody)
    kinds: list[Any] = [*errors, bodies.OptionsBody]
    for operation in OPERATIONS:
        kinds += [*operation.bodies, *operation.answers, *([operation.event] if operation.event else [])]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(unique, ref_template=PLACE)
    found = dict(zip(unique, schemas, strict=True))
    _add_options(components, unique)
    paths: dict[str, dict[str, Json]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, found)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ollamapy", "version": __version__, "description": ABOUT, "license": {"name": "MIT"}},
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _add_options(components: dict[str, Json], kinds: list[Any]) -> None:
    """Let the options stand in the bodies where they may; fields of the same name are the body's own."""
    options = components["Options"]["properties"]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, WITH_OPTIONS):
            body = components[kind.__name__]
            body["properties"] = {**options, **body["properties"]}


def _operation(operation: Operation, found: Mapping[Any, Json]) -> Json:
    described: dict[str, Json] = {
        "operationId": f"{operation.method} {operation.path}",
        "summary": operation.summary,
        "tags": [_tag(operation.path)],
        "responses": {str(operation.status): _success(operation, found), "default": _failure(operation.path, found)},
    }
    if operation.upload:
        described["responses"]["200"] = {"description": "It was there already."}
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
    if operation.bodies:
        content = {"application/json": {"schema": _either(operation.bodies, found)}}
        described["requestBody"] = {"required": True, "content": content}
    names = _PARAMETER.findall(operation.path)
    if names:
        text = {"type": "string"}
        described["parameters"] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    return described


def _success(operation: Operation, found: Mapping[Any, Json]) -> Json:
    response: dict[str, Json] = {"description": "Done."}
    if operation.answers:
        media_type = "text/plain" if operation.answers == (str,) else "application/json"
        response["content"] = {media_type: {"schema": _either(operation.answers, found)}}
    if operation.event is not None:
        is_events = is_openai(operation.path)
        response["description"] = EVENTS if is_events else LINES
        kind = EVENT_STREAM if is_events else NDJSON
        response["content"][kind] = {"schema": found[operation.event]}
    return response


def _failure(path: str, found: Mapping[Any, Json]) -> Json:
    kind: type = native.ErrorRecord
    if is_openai(path):
        kind = anthropic.ErrorBody if is_anthropic(path) else openai.ErrorBody
    return {"description": "It failed.", "content": {"application/json": {"schema": found[kind]}}}


def _either(kinds: tuple[Any, ...], found: Mapping[Any, Json]) -> Json:
    return found[kinds[0]] if len(kinds) == 1 else {"anyOf": [found[kind] for kind in kinds]}


def _tag(path: str) -> str:
    if is_anthropic(path):
        return "Anthropic"
    return "OpenAI" if is_openai(path) else "Ollama"
