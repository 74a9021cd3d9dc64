"""Takes files of this machine into the store: by sharing their blocks, by a hard link if asked to, else by copying."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ollamapy.errors import InvalidFileError
from ollamapy.names import Digest
from ollamapy.store.blobs import COPY_BYTES, BlobWriter, blob_size, delete_damaged
from ollamapy.store.layout import BLOBS, blob_name, open_folder, store_errors

How = Literal["reflink", "hardlink", "copy", "there"]
OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that is a blob now, its size in bytes, and how that came about."""

    digest: Digest
    size: int
    how: How


def place_file(root: Path, path: Path, *, link: bool, check_free: OnBytes, on_bytes: OnBytes) -> Placed:
    """Make a file a blob; a link to a file counts as that file. Blocks.

    `on_bytes` is told how far the file was read, `check_free` how much room a copy takes. With `link` the blob is the
    file itself under a second name: who changes the file then changes the blob.

    Raises:
        InvalidFileError: there is no regular file, or it was changed meanwhile.
        StoreError: the store can't be written.
        DiskFullError: from `check_free`.
    """
    with _opened(path) as source:
        size = os.fstat(source).st_size
        with BlobWriter(root) as writer:
            is_shared = writer.share_blocks(source)
            if not is_shared and link and (placed := _link(root, path, source, on_bytes)) is not None:
                return placed
            if not is_shared:
                check_free(size)
            for done in writer.take_content() if is_shared else writer.copy_content(source):
                on_bytes(done)
            return Placed(writer.commit(), writer.size, "reflink" if is_shared else "copy")


def _link(root: Path, path: Path, source: int, on_bytes: OnBytes) -> Placed | None:
    """Give the file a second name in the store; None where the file system can't."""
    before = os.fstat(source)
    digest = _hash(source, on_bytes)
    if blob_size(root, digest) is not None and not delete_damaged(root, digest):
        return Placed(digest, before.st_size, "there")
    with store_errors("write to the model store"), open_folder(root, BLOBS, create=True) as blobs:
        try:
            os.link(path.resolve(), blob_name(digest), dst_dir_fd=blobs, follow_symlinks=False)
        except FileExistsError:  # another process was faster
            return Placed(digest, before.st_size, "there")
        except OSError:
            return None
        linked, now = os.stat(blob_name(digest), dir_fd=blobs, follow_symlinks=False), os.fstat(source)
        is_same = (linked.st_dev, linked.st_ino) == (now.st_dev, now.st_ino)
        if not is_same or (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            os.unlink(blob_name(digest), dir_fd=blobs)
            raise InvalidFileError(f"{path.name} was changed while it was read; try again")
        os.fsync(blobs)
    return Placed(digest, before.st_size, "hardlink")


def _hash(source: int, on_bytes: OnBytes) -> Digest:
    content, position = hashlib.sha256(), 0
    while data := os.pread(source, COPY_BYTES, position):
        content.update(data)
        position += len(data)
        on_bytes(position)
    return Digest(content.hexdigest())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise InvalidFileError(f"can't read {path.name}: {(exc.strerror or 'unknown error').lower()}") from exc
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise InvalidFileError(f"{path.name} is no regular file")
        yield source
    finally:
        os.close(source)
