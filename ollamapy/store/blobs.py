"""Blobs: content under its digest. A blob appears under its name when it is whole and verified, and not before."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from ollamapy.errors import DigestMismatchError, StoreError
from ollamapy.names import Digest
from ollamapy.store.layout import (
    BLOBS,
    UPLOADS,
    WRITE_BYTES,
    blob_name,
    file_size,
    open_file,
    open_folder,
    store_errors,
    write_all,
)
from ollamapy.store.uploads import create_upload, remove_upload, sweep_uploads

COPY_BYTES = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file
_ACTION = "write to the model store"


class BlobWriter:
    """One blob in the making; use it in a `with` block, whose end discards what was not committed.

    It writes in large pieces: llama.cpp maps the file, and reads 5 to 14 % faster what lies in large pages of the page
    cache. Not for use by several threads at once. Every method raises StoreError where the disk refuses.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open = ExitStack()
        self._hash = hashlib.sha256()
        self._folder = self._file = -1
        self._name = ""
        self._pending = bytearray()
        self.size = 0

    def __enter__(self) -> Self:
        with store_errors(_ACTION), ExitStack() as stack:
            self._folder = stack.enter_context(open_folder(self._root, UPLOADS, create=True))
            sweep_uploads(self._folder)
            self._name, self._file = create_upload(self._folder)
            stack.callback(os.close, self._file)
            stack.callback(remove_upload, self._folder, self._name)
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        with store_errors(_ACTION):
            self._open.close()

    @property
    def path(self) -> Path:
        """Where the unfinished file lies, for another process to write it instead; `hash_file` takes that in."""
        return self._root / UPLOADS / self._name

    def hash_file(self) -> None:
        """Take in what another process wrote to `path`; nothing may be written afterwards."""
        for _ in self.take_content():
            continue

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._hash.update(data)
        self.size += len(data)
        self._pending += data
        if len(self._pending) >= WRITE_BYTES:
            self._flush(len(self._pending) // WRITE_BYTES * WRITE_BYTES)

    def _flush(self, count: int) -> None:
        """Hand the first bytes that are still to be written to the system."""
        with store_errors(_ACTION), memoryview(self._pending) as pending:
            for at in range(0, count, WRITE_BYTES):
                write_all(self._file, pending[at : min(at + WRITE_BYTES, count)])
        del self._pending[:count]

    def share_blocks(self, source: int) -> bool:
        """Make the empty file a clone of an open one, where the file system can; `take_content` hashes it then."""
        return self.size == 0 and _share_blocks(source, self._file)

    def take_content(self) -> Iterator[int]:
        """Take in what was written to the file by other means; yields the bytes so far."""
        self._hash, self.size = hashlib.sha256(), 0
        with store_errors(_ACTION):
            while data := os.pread(self._file, COPY_BYTES, self.size):
                self._hash.update(data)
                self.size += len(data)
                yield self.size

    def copy_content(self, source: int) -> Iterator[int]:
        """Append all of an open file; yields the bytes so far."""
        while data := os.read(source, COPY_BYTES):
            self.write(data)
            yield self.size

    def commit(self, expected: Digest | None = None) -> Digest:
        """Publish the blob under its digest and return that.

        Raises:
            DigestMismatchError: the content is not that of `expected`; nothing is published.
        """
        digest = Digest(self._hash.hexdigest())
        if expected is not None and digest != expected:
            raise DigestMismatchError(str(expected), str(digest))
        with store_errors(_ACTION), open_folder(self._root, BLOBS, create=True) as blobs:
            if file_size(blobs, blob_name(digest)) == self.size and _is_whole(blobs, digest):
                os.utime(blob_name(digest), dir_fd=blobs, follow_symlinks=False)  # in use: others keep what is young
                return digest
            self._flush(len(self._pending))
            os.fsync(self._file)
            os.rename(self._name, blob_name(digest), src_dir_fd=self._folder, dst_dir_fd=blobs)
            os.fsync(blobs)
        return digest


def _is_whole(blobs: int, digest: Digest) -> bool:
    """Tell whether a blob's content is that of its digest; False where there is none."""
    try:
        file = open_file(blobs, blob_name(digest))
    except FileNotFoundError:
        return False
    with os.fdopen(file, "rb") as content:
        return hashlib.file_digest(content, hashlib.sha256).hexdigest() == digest.hex


def _share_blocks(source: int, target: int) -> bool:
    """Make an empty file a copy-on-write clone of another; False where that can't be done."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def blob_size(root: Path, digest: Digest) -> int | None:
    """Return the size of a blob in bytes, None where there is none; a link is none."""
    with store_errors("read the model store"):
        try:
            with open_folder(root, BLOBS) as blobs:
                return file_size(blobs, blob_name(digest))
        except FileNotFoundError:
            return None


def delete_blob(root: Path, digest: Digest) -> bool:
    """Delete a blob and tell whether there was one; a link or a folder in its place stays."""
    with store_errors("delete from the model store"):
        try:
            with open_folder(root, BLOBS) as blobs:
                if file_size(blobs, blob_name(digest)) is None:
                    return False
                os.unlink(blob_name(digest), dir_fd=blobs)
                return True
        except FileNotFoundError:
            return False


def delete_damaged(root: Path, digest: Digest) -> bool:
    """Delete a blob whose content is not that of its digest, and tell whether it was one; reads all of it."""
    with store_errors("read the model store"):
        try:
            with open_folder(root, BLOBS) as blobs:
                is_damaged = file_size(blobs, blob_name(digest)) is not None and not _is_whole(blobs, digest)
        except FileNotFoundError:
            return False
    return is_damaged and delete_blob(root, digest)


def check_writable(root: Path) -> None:
    """Create the store's folders and write a byte; raises StoreError with what to do where that fails."""
    with BlobWriter(root) as writer:
        writer.write(b"x")
    with store_errors(_ACTION), open_folder(root, BLOBS, create=True) as blobs:
        if not os.access(".", os.W_OK, dir_fd=blobs):
            raise StoreError(f"can't {_ACTION}: {os.strerror(errno.EACCES).lower()}; give this user write access to it")
