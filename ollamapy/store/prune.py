"""Which blobs nobody uses any more. In doubt, one is in use: other programs keep models in the same store."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ollamapy.errors import StoreError
from ollamapy.names import Digest
from ollamapy.store.blobs import delete_blob
from ollamapy.store.layout import (
    BLOBS,
    MANIFESTS,
    blob_name,
    names_in,
    open_file,
    open_folder,
    open_subfolder,
    read_file,
    store_errors,
)
from ollamapy.store.manifests import MAX_MANIFEST_BYTES
from ollamapy.store.translations import read_translation, remove_translations

_DIGEST = re.compile(rb"sha256[:-]([0-9a-fA-F]{64})")
_BLOB = re.compile(r"sha256-([0-9a-f]{64})")
_MAX_DEPTH = 8


def prune_blobs(root: Path, digests: Iterable[Digest]) -> list[Digest]:
    """Delete those of these blobs that nothing below the manifests names; call it with the store locked.

    Manifests count as text: a digest anywhere in one, readable or not, keeps its blob. So does a link to the blob.

    Raises:
        StoreError: a manifest can't be read; nothing was deleted.
    """
    candidates = tuple(dict.fromkeys(digests))
    if not candidates:
        return []
    used = referenced_digests(root)
    removed = [digest for digest in candidates if digest not in used and delete_blob(root, digest)]
    unneeded = remove_translations(root, removed)
    return removed + [digest for digest in unneeded if digest not in used and delete_blob(root, digest)]


def unused_blobs(root: Path, older_than: float) -> list[tuple[Digest, int]]:
    """Return the blobs that nothing names, with their sizes in bytes; call it with the store locked.

    Blobs used since `older_than` (epoch seconds) are left out: someone may be about to name them.
    """
    used = referenced_digests(root)
    found = []
    with store_errors("read the model store"), suppress(FileNotFoundError), open_folder(root, BLOBS) as blobs:
        for name in names_in(blobs):
            match = _BLOB.fullmatch(name)
            if match is None or Digest(match[1]) in used:
                continue
            status = os.stat(name, dir_fd=blobs, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and max(status.st_mtime, status.st_atime) < older_than:
                found.append((Digest(match[1]), status.st_size))
    return found


def referenced_digests(root: Path) -> set[Digest]:
    """Return every digest that any manifest names, in Ollama's older and newer layouts."""
    used: set[Digest] = set()
    with store_errors("read the model store"):
        try:
            with open_folder(root) as store:
                for entry in names_in(store):
                    if entry.startswith(MANIFESTS):
                        used.update(_digests(store, entry, _MAX_DEPTH))
        except FileNotFoundError:
            return used
        for digest in tuple(used):
            used.update(_digests_in_manifest_blob(root, digest))
        for digest in tuple(used):
            used.update(layer.digest for layer in read_translation(root, digest))
    return used


def _digests(folder: int, entry: str, depth: int) -> Iterator[Digest]:
    """Yield the digests named by a file, the target of a link, or everything in a folder."""
    try:
        mode = os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            yield from _in(os.fsencode(os.readlink(entry, dir_fd=folder)))
        elif stat.S_ISREG(mode):
            yield from _in(_content(folder, entry))
        elif stat.S_ISDIR(mode):
            yield from _in_folder(folder, entry, depth)
    except FileNotFoundError:
        return  # deleted meanwhile


def _in_folder(folder: int, entry: str, depth: int) -> Iterator[Digest]:
    if depth == 0:
        raise StoreError("can't read the model store: the folders of its manifests are nested too deeply")
    inner = open_subfolder(folder, entry)
    try:
        for name in names_in(inner):
            yield from _digests(inner, name, depth - 1)
    finally:
        os.close(inner)


def _digests_in_manifest_blob(root: Path, digest: Digest) -> Iterator[Digest]:
    """Yield what a small blob names: newer manifests lie among the blobs, and their names are links to them."""
    try:
        with open_folder(root, BLOBS) as blobs:
            name = blob_name(digest)
            if os.stat(name, dir_fd=blobs, follow_symlinks=False).st_size <= MAX_MANIFEST_BYTES:
                yield from _in(_content(blobs, name))
    except FileNotFoundError:
        return


def _content(folder: int, name: str) -> bytes:
    file = open_file(folder, name)
    try:
        return read_file(file, MAX_MANIFEST_BYTES)
    finally:
        os.close(file)


def _in(data: bytes) -> Iterator[Digest]:
    for match in _DIGEST.finditer(data):
        yield Digest(match[1].decode().lower())
