"""Sorts documents by how well they answer a query."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import msgspec

from ollamapy import wire
from ollamapy.actions.embed import POOLING_RANK, check_inputs, compute, find_model, grouped, pooling_of, text_bytes
from ollamapy.actions.load import prepare_load
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.errors import UnsupportedError
from ollamapy.types import Options, Reranked, RerankRequest

_PLACES = re.compile(r"(\{query\}|\{document\})")
_SCORE = struct.Struct("<f")


async def rerank(services: Services, request: RerankRequest) -> Reranked:
    """Return the documents' scores, the best first; cancelling the call ends the work."""
    started = services.clock()
    query_bytes = text_bytes(request.query)
    check_inputs([query_bytes + text_bytes(document) for document in request.documents])
    found = await find_model(services, request.model)
    if pooling_of(found.header) != POOLING_RANK:
        raise UnsupportedError(
            f'"{request.model}" makes embeddings and is no reranker; use a model with rank pooling, such as '
            "bge-reranker, or compare embeddings of /api/embed yourself"
        )
    spec = await prepare_load(services, found, merge_options(request.options, found.model.options, Options()))
    template = found.header.chat_template("rerank") or ""
    async with services.scheduler.acquire(spec, request.keep_alive_seconds) as lease:
        computed = await compute(lease.runner, rerank_messages(request, template, spec.num_ctx))
    scores = [float(_SCORE.unpack_from(vector)[0]) for vector in computed.vectors]
    ranking = sorted(enumerate(scores), key=lambda entry: -entry[1])
    return Reranked(
        tuple(ranking[: request.top_n or None]),
        computed.prompt_tokens,
        computed.truncated_inputs,
        services.clock() - started,
        lease.load_seconds,
    )


def rerank_messages(request: RerankRequest, template: str, num_ctx: int) -> Iterator[wire.Embed]:
    """Yield the messages that score all documents, in order; a model with a template reads query and document in it."""
    query_bytes = text_bytes(request.query)
    common = wire.Embed(0, [], num_ctx, request.truncate, add_special=not template, pairs=not template)
    for documents in grouped(request.documents, lambda text: query_bytes + text_bytes(text)):
        inputs = [fill_template(template or "{query}{document}", request.query, document) for document in documents]
        yield msgspec.structs.replace(common, inputs=inputs)


def fill_template(template: str, query: str, document: str) -> list[wire.Segment]:
    """Return a prompt in which only the template's own text may be control tokens."""
    texts = {"{query}": query, "{document}": document}
    parts = [part for part in _PLACES.split(template) if part]
    return [wire.Segment(texts.get(part, part), special=part not in texts) for part in parts]
