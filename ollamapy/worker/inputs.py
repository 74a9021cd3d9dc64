"""From the texts of a request to the token ids that the model reads."""

from __future__ import annotations

from typing import Protocol

from ollamapy import wire
from ollamapy.errors import InvalidInputError
from ollamapy.worker.llama import Llama
from ollamapy.worker.pictures import Picture


class Eye(Protocol):
    """What reads pictures."""

    def read(self, data: bytes) -> list[list[int] | Picture]:
        """Return what stands for a picture in a prompt; raises InvalidInputError."""


def read_prompt(
    llama: Llama, segments: list[wire.Segment], eye: Eye | None, *, add_special: bool
) -> tuple[list[int], dict[int, Picture]]:
    """Return the tokens of a prompt and its pictures by the index of their first placeholder.

    Raises InvalidInputError for a picture that can't be read, or that the model can't.
    """
    if not any(segment.image for segment in segments):
        return tokenize(llama, segments, add_special=add_special), {}
    if eye is None:
        raise InvalidInputError("this model reads no pictures; send text only")
    tokens: list[int] = []
    pictures: dict[int, Picture] = {}
    for index, segment in enumerate(segments):
        if not segment.image:
            tokens += tokenize(llama, [segment], add_special=add_special and index == 0)
            continue
        if index == 0 and add_special:
            tokens += llama.tokenize("", add_special=True, parse_special=True)
        for piece in eye.read(segment.image):
            if isinstance(piece, Picture):
                pictures[len(tokens)] = piece
            tokens += piece.placeholders if isinstance(piece, Picture) else piece
    return tokens, pictures


def tokenize(llama: Llama, segments: list[wire.Segment], *, add_special: bool) -> list[int]:
    """Return the token ids of a prompt. A BOS that the template wrote is not doubled."""
    first = segments[0].text if segments else ""
    doubled = bool(llama.bos_token) and first.startswith(llama.bos_token)
    tokens: list[int] = []
    for index, segment in enumerate(segments):
        begins = index == 0 and add_special and not doubled
        tokens += llama.tokenize(segment.text, add_special=begins, parse_special=segment.special)
    return tokens


def embed_inputs(llama: Llama, request: wire.Embed) -> list[list[int]]:
    """Return the token ids of all inputs; raises InvalidInputError for one that the model can't read."""
    read = pair_tokens if request.pairs else tokenize
    texts = [read(llama, segments, add_special=request.add_special) for segments in request.inputs]
    for tokens in request.tokens:
        for token in tokens:
            if not 0 <= token < llama.n_vocab:
                raise InvalidInputError(
                    f"token {token} is not in the vocabulary, which has {llama.n_vocab} tokens; "
                    "token ids of another model mean nothing to this one: send the text instead"
                )
    inputs = [*texts, *request.tokens]
    if not all(inputs):
        raise InvalidInputError("an input is empty: it has no tokens that could be embedded; leave it out")
    return inputs


def pair_tokens(llama: Llama, pair: list[wire.Segment], *, add_special: bool) -> list[int]:
    """Return a query and a document as a cross-encoder was trained to read them.

    BERT's form is [CLS] query [SEP] document [SEP], that of XLM-R <s> query </s></s> document </s>.
    """
    if not add_special:
        return tokenize(llama, pair, add_special=False)
    query, document = (llama.tokenize(part.text, add_special=True, parse_special=part.special) for part in pair)
    between = llama.separator if llama.adds_eos else []
    return [*query, *between, *document[int(llama.adds_bos) :]]
