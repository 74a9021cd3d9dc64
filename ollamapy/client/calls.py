"""The requests of the API as plain data: method, path and JSON body of each; pure, no HTTP library.

Source: Ollama's `api/types.go` (release 0.33).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from ollamapy.options import options_to_json
from ollamapy.types import (
    AnswerRequest,
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    Json,
    Message,
    Options,
    RerankRequest,
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `subject` is the model or the blob that it is about."""

    method: str
    path: str
    body: bytes = b""
    subject: str = ""


def version() -> Call:
    """Ask for the server's version."""
    return Call("GET", "/api/version")


def list_models() -> Call:
    """Ask for all models of the store."""
    return Call("GET", "/api/tags")


def list_loaded() -> Call:
    """Ask for the models that are in memory."""
    return Call("GET", "/api/ps")


def show(model: str, *, verbose: bool) -> Call:
    """Ask for everything about one model."""
    return _post("/api/show", {"model": model, "verbose": verbose}, model)


def estimate(model: str, options: Options) -> Call:
    """Ask what a model takes in memory."""
    return _post("/api/estimate", {"model": model, "options": options_to_json(options)}, model)


def chat(request: ChatRequest) -> Call:
    """Ask for the next turn of a chat."""
    fields = {"messages": [_message(m) for m in request.messages], **_present({"tools": list(request.tools)})}
    return _post("/api/chat", {"model": request.model, **fields, **_answer_fields(request)}, request.model)


def generate(request: GenerateRequest) -> Call:
    """Ask for the answer to one prompt."""
    fields = {
        "prompt": request.prompt,
        "suffix": request.suffix,
        "system": request.system,
        "template": request.template,
        "context": list(request.context),
        "raw": request.raw or None,
        "images": [base64.b64encode(image).decode() for image in request.images],
    }
    body = {"model": request.model, **_present(fields), **_answer_fields(request)}
    return _post("/api/generate", body, request.model)


def embed(request: EmbedRequest) -> Call:
    """Ask for the vectors of texts; token ids have no place in this route."""
    fields = {"dimensions": request.dimensions or None, "truncate": None if request.truncate else False}
    body = {"input": list(request.inputs), **_present(fields), **_load_fields(request)}
    return _post("/api/embed", {"model": request.model, **body}, request.model)


def rerank(request: RerankRequest) -> Call:
    """Ask for documents by how well they answer a query."""
    fields = {
        "top_n": request.top_n or None,
        "truncate": None if request.truncate else False,
        "return_documents": request.return_documents or None,
    }
    body = {"query": request.query, "documents": list(request.documents), **_present(fields), **_load_fields(request)}
    return _post("/api/rerank", {"model": request.model, **body}, request.model)


def render(request: ChatRequest | GenerateRequest) -> Call:
    """Ask for the prompt that a request would give the model."""
    call = chat(request) if isinstance(request, ChatRequest) else generate(request)
    return replace(call, path="/api/render")


def tokenize(model: str, text: str) -> Call:
    """Ask for the tokens of a text."""
    return _post("/api/tokenize", {"model": model, "content": text}, model)


def detokenize(model: str, tokens: Sequence[int]) -> Call:
    """Ask for the text of tokens."""
    return _post("/api/detokenize", {"model": model, "tokens": list(tokens)}, model)


def unload(model: str) -> Call:
    """Ask for a model to be taken out of memory."""
    return _post("/api/generate", {"model": model, "keep_alive": 0, "stream": False}, model)


def create(request: CreateRequest) -> Call:
    """Ask for a model to be made."""
    fields = {
        "from": request.base,
        "files": dict(request.files or {}),
        "adapters": dict(request.adapters or {}),
        "draft_files": dict(request.draft_files or {}),
        "license": list(request.licenses),
        "parameters": options_to_json(request.parameters or Options()),
        "messages": [_message(m) for m in request.messages],
        "renderer": request.renderer,
        "parser": request.parser,
        "requires": request.requires,
        "quantize": request.quantize,
        "draft_quantize": request.draft_quantize,
    }
    texts = {"template": request.template, "system": request.system}
    given = {name: text for name, text in texts.items() if text is not None}  # an empty text is one too
    body = {"model": request.model, **_present(fields), **given, "stream": request.stream}
    return _post("/api/create", body, request.model)


def pull(model: str, *, insecure: bool = False) -> Call:
    """Ask for a model to be fetched from its registry."""
    return _post("/api/pull", {"model": model, "insecure": insecure}, model)


def push(model: str, *, insecure: bool = False) -> Call:
    """Ask for a model to be sent to its registry."""
    return _post("/api/push", {"model": model, "insecure": insecure}, model)


def prune(*, dry_run: bool) -> Call:
    """Ask for what no model needs to be removed, or only told."""
    return _post("/api/prune", {"dry_run": dry_run}, "")


def check_update(model: str, *, only_pulled: bool) -> Call:
    """Ask whether the registry has a newer version of a model."""
    return _post("/api/update", {"model": model, "only_pulled": only_pulled}, model)


def copy(source: str, destination: str) -> Call:
    """Ask for a second name of a model."""
    return _post("/api/copy", {"source": source, "destination": destination}, source)


def delete(model: str) -> Call:
    """Ask for a model to be removed."""
    return Call("DELETE", "/api/delete", msgspec.json.encode({"model": model}), model)


def has_blob(digest: str) -> Call:
    """Ask whether a blob is in the store."""
    return Call("HEAD", f"/api/blobs/{digest}", subject=digest)


def upload_blob(digest: str) -> Call:
    """Announce a blob; its content is the body, which the caller adds."""
    return Call("POST", f"/api/blobs/{digest}", subject=digest)


def _answer_fields(request: AnswerRequest) -> dict[str, Json]:
    """Return the fields that chat and generate share, without those at their default."""
    fields = {**_present({"format": request.format, "think": request.think}), **_load_fields(request)}
    if request.logprobs:
        fields |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    switches = {"truncate": request.truncate, "shift": request.shift}
    fields |= {name: False for name, is_on in switches.items() if not is_on}
    if request.render_only:
        fields["_debug_render_only"] = True
    return {**fields, "stream": request.stream}


def _load_fields(request: AnswerRequest | EmbedRequest | RerankRequest) -> dict[str, Json]:
    """Return the fields that all requests to a model share, without those at their default."""
    fields = _present({"options": options_to_json(request.options)})
    if request.keep_alive_seconds is not None:
        fields["keep_alive"] = -1 if math.isinf(request.keep_alive_seconds) else request.keep_alive_seconds
    return fields


def _message(message: Message) -> dict[str, Json]:
    calls = [
        {"id": call.id, "function": {"index": call.index, "name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]
    fields = {
        "thinking": message.thinking,
        "images": [base64.b64encode(image).decode() for image in message.images],
        "tool_calls": calls,
        "tool_name": message.tool_name,
        "tool_call_id": message.tool_call_id,
    }
    return {"role": message.role, "content": message.content, **_present(fields)}


def _present(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that say something: `None`, "", and empty collections are left out, False and 0 stay."""
    return {k: v for k, v in fields.items() if v is not None and not (isinstance(v, Sequence | Mapping) and not v)}


def _post(path: str, body: Mapping[str, Json], subject: str) -> Call:
    return Call("POST", path, msgspec.json.encode(body), subject)
