"""OpenAI's requests for vectors and their answers, and reranking in the shape that Jina gave it.

Source: OpenAI's embeddings reference, and Ollama's `openai/openai.go` (release 0.33) for its error texts.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from ollamapy.dialects.fields import Fields, read_keep_alive
from ollamapy.dialects.native_embed import read_dimensions, vector_json
from ollamapy.errors import InvalidInputError
from ollamapy.options import parse_options
from ollamapy.types import Embedded, EmbedRequest, Json, Reranked, RerankRequest

TOKEN_LIMIT = 1 << 31
VECTOR: Json = {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """What to embed, and whether the vectors shall come as base64 of their float32 numbers."""

    embed: EmbedRequest
    is_base64: bool = False


class EmbeddingUsage(msgspec.Struct, frozen=True):
    """Token counts of a request."""

    prompt_tokens: int
    total_tokens: int


class Embedding(msgspec.Struct, frozen=True):
    """One vector: numbers, or their little-endian float32 in base64."""

    index: int
    embedding: Annotated[msgspec.Raw, Meta(extra_json_schema=VECTOR)]
    object: str = "embedding"


class EmbeddingList(msgspec.Struct, frozen=True, omit_defaults=True):
    """POST /v1/embeddings."""

    object: str
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    truncated_inputs: int = 0


class Document(msgspec.Struct, frozen=True):
    """A document as it was sent."""

    text: str


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """One document: its place in the request and its score."""

    index: int
    relevance_score: float
    document: Document | None = None


class RerankList(msgspec.Struct, frozen=True, omit_defaults=True):
    """POST /v1/rerank: the best document first."""

    object: str
    model: str
    results: list[Score]
    usage: EmbeddingUsage
    truncated_inputs: int = 0


def embeddings_request(fields: Fields) -> EmbeddingsRequest:
    """Read the body of /v1/embeddings; `input` is a text, texts, token ids, or arrays of them."""
    encoding = fields.text("encoding_format") or "float"
    if encoding.lower() not in ("float", "base64"):
        raise InvalidInputError(
            f"Invalid value for 'encoding_format' = {encoding[:40]}. Supported values: ['float', 'base64']."
        )
    texts, tokens = _inputs(fields.raw("input"))
    request = EmbedRequest(
        model=fields.text("model"),
        inputs=texts,
        token_inputs=tokens,
        truncate=fields.flag("truncate", default=True),
        dimensions=read_dimensions(fields),
        options=parse_options(fields.mapping("options") or {}),
        keep_alive_seconds=read_keep_alive(fields),
    )
    return EmbeddingsRequest(request, encoding.lower() == "base64")


def embeddings_body(request: EmbeddingsRequest, embedded: Embedded) -> bytes:
    """Return the answer of /v1/embeddings; takes a while for many vectors."""
    write = _base64_json if request.is_base64 else vector_json
    data = [Embedding(index, msgspec.Raw(write(vector))) for index, vector in enumerate(embedded.vectors)]
    tokens = embedded.prompt_tokens
    return _encode(
        EmbeddingList("list", data, request.embed.model, EmbeddingUsage(tokens, tokens), embedded.truncated_inputs),
    )


def rerank_body(request: RerankRequest, reranked: Reranked) -> bytes:
    """Return the answer of /v1/rerank."""
    results = [
        Score(i, score, Document(request.documents[i]) if request.return_documents else None)
        for i, score in reranked.scores
    ]
    tokens = reranked.prompt_tokens
    return _encode(
        RerankList("list", request.model, results, EmbeddingUsage(tokens, tokens), reranked.truncated_inputs),
    )


def _inputs(value: Json) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return the texts and the token inputs of a request; one of them is empty."""
    if isinstance(value, str):
        return (value,), ()
    if not isinstance(value, list) or not value:
        raise InvalidInputError('invalid input: field "input" must be a string or an array that is not empty')
    if all(isinstance(item, str) for item in value):
        return tuple(value), ()
    if _is_tokens(value):
        return (), (tuple(value),)
    if all(isinstance(item, list) and _is_tokens(item) for item in value):
        return (), tuple(map(tuple, value))
    raise InvalidInputError(
        'invalid input: field "input" must be a string, an array of strings, one of token ids, or one of those'
    )


def _is_tokens(value: list[Json]) -> bool:
    return all(type(token) is int and 0 <= token < TOKEN_LIMIT for token in value)


def _base64_json(vector: bytes) -> bytes:
    return b'"' + base64.b64encode(vector) + b'"'
