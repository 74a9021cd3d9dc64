"""From the texts of a request to the token ids that the model reads."""

from __future__ import annotations

from ollamapy import wire
from ollamapy.errors import InvalidInputError
from ollamapy.worker.llama import Llama


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
