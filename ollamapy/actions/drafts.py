"""The draft model beside a model: a small one of the same vocabulary, whose guesses the large one checks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ollamapy.actions.files import Parts, read_file, shown
from ollamapy.errors import InvalidFileError, InvalidInputError
from ollamapy.gguf import Header, read_header
from ollamapy.store import DRAFT_TYPE, Layer, Store

MOST_EXTRA_TOKENS = 128  # models of one family pad their vocabulary to different sizes
TOKENS = "tokenizer.ggml.tokens"

log = logging.getLogger("ollamapy.actions")


def add_draft(store: Store, parts: Parts, files: Mapping[str, str]) -> None:
    """Add the uploaded draft model of a model, whose words it must share.

    Raises InvalidDigestError, BlobNotFoundError, InvalidFileError, InvalidInputError.
    """
    if len(files) > 1:
        raise InvalidInputError("draft_files: give one file; a draft model can't be split")
    for path, digest in files.items():
        file = read_file(store, path, digest)
        if file.header.kind != "model" or file.header.split_count > 1 or file.header.has_pooling:
            raise InvalidFileError(f"{shown(path)} can't be a draft model; give one whole model that generates text")
        misfit = find_vocabulary_misfit(file.header, parts.headers[0])
        if misfit:
            raise InvalidFileError(
                f"the draft model {shown(path)} has another vocabulary than the model: {misfit}; "
                "use a smaller model of the same family"
            )
        parts.replace(DRAFT_TYPE, [Layer(DRAFT_TYPE, file.digest, store.blob_size(file.digest))])
        parts.draft = {"model_format": "gguf", "architecture": file.header.architecture}


def find_vocabulary_misfit(draft: Header, model: Header) -> str:
    """Return in which way a draft model's vocabulary differs from the model's, or "" where the draft fits."""
    if abs(draft.vocabulary_size - model.vocabulary_size) > MOST_EXTRA_TOKENS:
        return f"{draft.vocabulary_size} tokens instead of {model.vocabulary_size}"
    pairs = zip(draft.array(TOKENS), model.array(TOKENS), strict=False)
    at = next((token for token, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    return "" if at is None else f"token {at} is another one"


def usable_draft(path: Path | None, model: Header) -> Header | None:
    """Return the header of a model's draft, None where there is none or llama.cpp could not use it by itself.

    Models of registries may have drafts of other kinds, such as layers that only work inside the model. Raises
    InvalidFileError.
    """
    if path is None:
        return None
    header = read_header(path)
    is_alike = abs(header.vocabulary_size - model.vocabulary_size) <= MOST_EXTRA_TOKENS
    if header.kind == "model" and header.vocabulary_size and is_alike:
        return header
    log.warning("a draft of the kind %s is left out: it is no model of its own", header.architecture[:40] or "unknown")
    return None
