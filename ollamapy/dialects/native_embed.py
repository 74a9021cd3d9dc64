"""Ollama's requests for vectors and their answers, and the same for reranking, which is ours.

Source: Ollama's `api/types.go` (release 0.33).
"""

from __future__ import annotations

import struct
from typing import Generic, TypeVar

import msgspec

from ollamapy.dialects.fields import Fields, kind_of, read_keep_alive
from ollamapy.dialects.native import NANOSECONDS, Record, encode
from ollamapy.errors import InvalidInputError
from ollamapy.options import parse_options
from ollamapy.types import Embedded, EmbedRequest, Json, Reranked, RerankRequest

MAX_DIMENSIONS = 65_536

V = TypeVar("V")


class EmbedRecord(Record, Generic[V], frozen=True, kw_only=True):
    """POST /api/embed: one vector per input; the last field is ours and counts inputs that were cut."""

    model: str
    embeddings: list[V]
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    truncated_inputs: int = 0


EmbedAnswer = EmbedRecord[list[float]]  # as a client reads it


class EmbeddingRecord(Record, Generic[V], frozen=True, kw_only=True):
    """POST /api/embeddings."""

    embedding: V


class ScoreRecord(Record, frozen=True, kw_only=True):
    """One document of a reranking: its place in the request and its score."""

    index: int
    relevance_score: float
    document: str | None = None


class RerankRecord(Record, frozen=True, kw_only=True):
    """POST /api/rerank: the best document first."""

    model: str
    results: list[ScoreRecord]
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    truncated_inputs: int = 0


def embed_request(fields: Fields) -> EmbedRequest:
    """Read the body of /api/embed; an absent or empty input only loads the model."""
    return EmbedRequest(
        model=fields.text("model"),
        inputs=_inputs(fields),
        truncate=fields.flag("truncate", default=True),
        dimensions=read_dimensions(fields),
        options=parse_options(fields.mapping("options") or {}),
        keep_alive_seconds=read_keep_alive(fields),
    )


def embedding_request(fields: Fields) -> EmbedRequest:
    """Read the body of the older /api/embeddings: one prompt, which is not cut."""
    model = fields.text("model")
    if not model.strip():
        raise InvalidInputError("model is required")
    prompt = fields.text("prompt")
    return EmbedRequest(
        model=model,
        inputs=(prompt,) if prompt else (),
        truncate=False,
        options=parse_options(fields.mapping("options") or {}),
        keep_alive_seconds=read_keep_alive(fields),
        as_trained=True,
    )


def rerank_request(fields: Fields) -> RerankRequest:
    """Read the body of /api/rerank and /v1/rerank; a document is a string or an object with a `text`."""
    model = fields.text("model")
    if not model.strip():
        raise InvalidInputError("model is required")
    query = fields.text("query")
    if not query.strip():
        raise InvalidInputError('field "query" must be a text to compare the documents with')
    documents = tuple(_document(fields, index) for index in range(len(fields.array("documents"))))
    if not documents:
        raise InvalidInputError('field "documents" must be an array of at least one text')
    return RerankRequest(
        model=model,
        query=query,
        documents=documents,
        top_n=fields.integer("top_n", 1, 1 << 31) or 0,
        truncate=fields.flag("truncate", default=True),
        options=parse_options(fields.mapping("options") or {}),
        keep_alive_seconds=read_keep_alive(fields),
        return_documents=fields.flag("return_documents"),
    )


def read_dimensions(fields: Fields) -> int:
    """Return how many numbers a vector shall have, 0 for all."""
    return fields.integer("dimensions", 0, MAX_DIMENSIONS) or 0


def embed_body(model: str, embedded: Embedded) -> bytes:
    """Return the answer of /api/embed; takes a while for many vectors."""
    record = EmbedRecord(
        model=model,
        embeddings=[msgspec.Raw(vector_json(vector)) for vector in embedded.vectors],
        total_duration=round(embedded.total_seconds * NANOSECONDS),
        load_duration=round(embedded.load_seconds * NANOSECONDS),
        prompt_eval_count=embedded.prompt_tokens,
        truncated_inputs=embedded.truncated_inputs,
    )
    return encode(record)


def embedding_body(embedded: Embedded) -> bytes:
    """Return the answer of /api/embeddings: the one vector, empty where there was no prompt."""
    vectors = embedded.vectors or (b"",)
    return encode(EmbeddingRecord(embedding=msgspec.Raw(vector_json(vectors[0]))))


def rerank_record(request: RerankRequest, reranked: Reranked) -> RerankRecord:
    """Return the answer of /api/rerank."""
    return RerankRecord(
        model=request.model,
        results=[
            ScoreRecord(index=i, relevance_score=score, document=request.documents[i])
            if request.return_documents
            else ScoreRecord(index=i, relevance_score=score)
            for i, score in reranked.scores
        ],
        total_duration=round(reranked.total_seconds * NANOSECONDS),
        load_duration=round(reranked.load_seconds * NANOSECONDS),
        prompt_eval_count=reranked.prompt_tokens,
        truncated_inputs=reranked.truncated_inputs,
    )


def vector_json(vector: bytes) -> bytes:
    """Return little-endian float32 numbers as a JSON array; nine digits tell each of them exactly."""
    count = len(vector) // 4
    numbers = struct.unpack(f"<{count}f", vector)
    return b"[" + (",".join(["%.9g"] * count) % numbers).encode() + b"]"


def _inputs(fields: Fields) -> tuple[str, ...]:
    value: Json = fields.raw("input")
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise InvalidInputError(
            f'invalid input type: field "input" must be a string or an array of strings, not {kind_of(value)}'
        )
    for index, text in enumerate(value):
        if not isinstance(text, str):
            raise InvalidInputError(
                f'invalid input type: field "input[{index}]" must be a string, not {kind_of(text)}; '
                "token ids are understood by /v1/embeddings"
            )
    return tuple(value)


def _document(fields: Fields, index: int) -> str:
    value = fields.array("documents")[index]
    text = value.get("text") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InvalidInputError(f'field "documents[{index}]" must be a string, or an object with a string "text"')
    return text
