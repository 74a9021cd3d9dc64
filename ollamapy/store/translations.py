"""Notes of which blobs llama.cpp loads in the place of one that it can't load.

A manifest stays as it came; its blob's digest leads to the note. Whoever shares the store and does not know the notes
may delete those blobs: they are made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from ollamapy.errors import InvalidDigestError
from ollamapy.names import Digest
from ollamapy.store.layout import (
    TRANSLATIONS,
    UPLOADS,
    blob_name,
    open_file,
    open_folder,
    read_file,
    store_errors,
    write_all,
)
from ollamapy.store.manifests import Layer
from ollamapy.store.uploads import create_upload, remove_upload

VERSION = 1
"""What our translation makes of a file; another number makes it anew."""
MAX_NOTE_BYTES = 64 << 10


class _NotedLayer(msgspec.Struct):
    media_type: str
    digest: str
    size: int


class _Note(msgspec.Struct):
    version: int
    layers: list[_NotedLayer]


def read_translation(root: Path, digest: Digest) -> tuple[Layer, ...]:
    """Return what stands for a blob; nothing where there is no note that can be read."""
    with store_errors("read the model store"):
        try:
            with open_folder(root, TRANSLATIONS) as folder:
                file = open_file(folder, blob_name(digest))
        except FileNotFoundError:
            return ()
        try:
            note = msgspec.json.decode(read_file(file, MAX_NOTE_BYTES), type=_Note)
            layers = tuple(Layer(noted.media_type, Digest.parse(noted.digest), noted.size) for noted in note.layers)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidDigestError):
            return ()
        finally:
            os.close(file)
    return layers if note.version == VERSION else ()


def write_translation(root: Path, digest: Digest, layers: Sequence[Layer]) -> None:
    """Write a note; call it with the store locked."""
    noted = [_NotedLayer(layer.media_type, str(layer.digest), layer.size) for layer in layers]
    with ExitStack() as stack:
        uploads = stack.enter_context(open_folder(root, UPLOADS, create=True))
        folder = stack.enter_context(open_folder(root, TRANSLATIONS, create=True))
        name, file = create_upload(uploads)
        stack.callback(os.close, file)
        stack.callback(remove_upload, uploads, name)
        write_all(file, msgspec.json.encode(_Note(VERSION, noted)))
        os.fsync(file)
        os.rename(name, blob_name(digest), src_dir_fd=uploads, dst_dir_fd=folder)


def remove_translations(root: Path, digests: Iterable[Digest]) -> list[Digest]:
    """Delete the notes of these blobs and return what stood for them; call it with the store locked."""
    found = []
    for digest in digests:
        layers = read_translation(root, digest)
        if layers:
            with open_folder(root, TRANSLATIONS) as folder:
                remove_upload(folder, blob_name(digest))
            found += [layer.digest for layer in layers]
    return found
