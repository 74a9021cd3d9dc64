"""Turns text into a model's tokens and back."""

from __future__ import annotations

from collections.abc import Sequence

from ollamapy import wire
from ollamapy.actions.load import prepare_load
from ollamapy.actions.services import Services
from ollamapy.errors import InvalidInputError

MAX_TEXT_BYTES = 4 << 20
MAX_TOKENS = 1 << 20


async def tokenize(services: Services, asked: str, text: str) -> list[int]:
    """Return the tokens of a text; raises InvalidInputError for one that is too long."""
    if len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise InvalidInputError(f"the text is longer than {MAX_TEXT_BYTES} bytes; send it in parts")
    found = await services.models.resolve(services.store, asked)
    spec = await prepare_load(services, found, found.model.options)
    async with services.scheduler.acquire(spec, None) as lease:
        return await lease.runner.tokenize([wire.Segment(text)], False)


async def detokenize(services: Services, asked: str, tokens: Sequence[int]) -> str:
    """Return the text of tokens; raises InvalidInputError for too many or for one that the model lacks."""
    if len(tokens) > MAX_TOKENS:
        raise InvalidInputError(f"there are more than {MAX_TOKENS} tokens; send them in parts")
    found = await services.models.resolve(services.store, asked)
    spec = await prepare_load(services, found, found.model.options)
    async with services.scheduler.acquire(spec, None) as lease:
        check_tokens(tokens, lease.ready.n_vocab, "tokens")
        return await lease.runner.detokenize(tokens)


def check_tokens(tokens: Sequence[int], n_vocab: int, field: str) -> None:
    """Raise InvalidInputError that names the field for a token that the model lacks."""
    for index, token in enumerate(tokens):
        if token >= n_vocab:
            raise InvalidInputError(
                f"{field}[{index}]: token {token} is not in the vocabulary, which has {n_vocab} tokens"
            )
