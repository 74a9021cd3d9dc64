"""Blobs that arrive in parts: an unfinished file, and a journal beside it of what is in it.

    uploads/partial-<hex>        the bytes, each at its place
    uploads/partial-<hex>.json   which ranges of them were written

Both outlive their writer, so that another one goes on where it ended. The file is locked while someone writes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ollamapy.errors import DigestMismatchError, StoreError
from ollamapy.names import Digest
from ollamapy.store.layout import (
    BLOBS,
    FILE_MODE,
    UPLOADS,
    blob_name,
    names_in,
    open_file,
    open_folder,
    read_file,
    store_errors,
    write_all,
)
from ollamapy.store.ranges import Ranges
from ollamapy.store.uploads import create_upload, remove_upload

PREFIX = "partial-"
_PARTIAL = re.compile(r"partial-([0-9a-f]{64})")
_JOURNAL_SUFFIX = ".json"
_ACTION = "write to the model store"
_READ_BYTES = 1 << 20
_MAX_JOURNAL_BYTES = 4 << 20


class _Journal(msgspec.Struct):
    size: int
    done: list[tuple[int, int]]


class PartialBlob:
    """One blob in the making, written in any order; use it in a `with` block, whose end keeps what there is.

    `write` and `hash_to` may run in other threads at the same time, everything else belongs to one thread. What
    blocks says so. Every method raises StoreError where the disk refuses.
    """

    def __init__(self, root: Path, digest: Digest, size_bytes: int) -> None:
        self._root = root
        self._name = PREFIX + digest.hex
        self._hash = hashlib.sha256()
        self._open = ExitStack()
        self._folder = self._file = -1
        self.digest = digest
        self.size_bytes = size_bytes
        self.hashed_bytes = 0
        self.done = Ranges()
        self.is_resumed = False

    def __enter__(self) -> Self:
        with store_errors(_ACTION), ExitStack() as stack:
            self._folder = stack.enter_context(open_folder(self._root, UPLOADS, create=True))
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._name, flags, FILE_MODE, dir_fd=self._folder)
            stack.callback(os.close, self._file)
            self._lock()
            self.done = Ranges(self._read_journal())
            self.is_resumed = self.done.total_bytes > 0
            if not self.is_resumed:
                os.ftruncate(self._file, 0)
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        with store_errors(_ACTION):
            self._open.close()

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes at their place; blocks. They count once they are added to `done`."""
        if offset < 0 or offset + len(data) > self.size_bytes:
            raise StoreError(f"can't {_ACTION}: more bytes came than the blob has")
        rest = memoryview(data)
        with store_errors(_ACTION):
            while rest:
                written = os.pwrite(self._file, rest, offset)
                offset, rest = offset + written, rest[written:]

    def save(self, done: tuple[tuple[int, int], ...]) -> None:
        """Put what was written on the disk and then into the journal; blocks."""
        data = msgspec.json.encode(_Journal(self.size_bytes, list(done)))
        with store_errors(_ACTION), ExitStack() as stack:
            os.fsync(self._file)
            name, file = create_upload(self._folder)
            stack.callback(os.close, file)
            stack.callback(remove_upload, self._folder, name)
            write_all(file, data)
            os.rename(name, self._name + _JOURNAL_SUFFIX, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def hash_to(self, end: int) -> None:
        """Take the bytes up to `end`, all of which are written, into the digest; blocks.

        They are read back while they still are in the system's memory.
        """
        buffer = memoryview(bytearray(min(_READ_BYTES, end - self.hashed_bytes)))
        with store_errors("read the model store"):
            while self.hashed_bytes < end:
                count = os.preadv(self._file, [buffer[: end - self.hashed_bytes]], self.hashed_bytes)
                if not count:
                    raise StoreError("can't read the model store: an unfinished file was cut by another program")
                self._hash.update(buffer[:count])
                self.hashed_bytes += count

    def publish(self) -> None:
        """Make it a blob of the store; blocks.

        Raises:
            DigestMismatchError: the content is another one; nothing is published, and `reset` begins anew.
        """
        got = Digest(self._hash.hexdigest())
        if self.hashed_bytes != self.size_bytes or got != self.digest:
            raise DigestMismatchError(str(self.digest), str(got))
        with store_errors(_ACTION), open_folder(self._root, BLOBS, create=True) as blobs:
            os.fsync(self._file)
            os.rename(self._name, blob_name(self.digest), src_dir_fd=self._folder, dst_dir_fd=blobs)
            os.fsync(blobs)
            remove_upload(self._folder, self._name + _JOURNAL_SUFFIX)

    def reset(self) -> None:
        """Forget all that was written; blocks."""
        self._hash, self.hashed_bytes, self.done, self.is_resumed = hashlib.sha256(), 0, Ranges(), False
        with store_errors(_ACTION):
            remove_upload(self._folder, self._name + _JOURNAL_SUFFIX)
            os.ftruncate(self._file, 0)

    def discard(self) -> None:
        """Delete it; blocks."""
        with store_errors(_ACTION):
            remove_upload(self._folder, self._name + _JOURNAL_SUFFIX)
            remove_upload(self._folder, self._name)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StoreError("another program is fetching the same blob into this store; wait for it to end") from exc
        if os.fstat(self._file).st_nlink == 0:
            raise StoreError("another program finished or removed the same blob at this moment; try again")

    def _read_journal(self) -> list[tuple[int, int]]:
        """Return what the journal says is written; nothing where it can't be trusted."""
        journal = read_journal(self._folder, self._name)
        size = os.fstat(self._file).st_size
        if journal is None or journal.size != self.size_bytes or size > self.size_bytes:
            return []
        return [(start, end) for start, end in journal.done if 0 <= start < end <= size]


def read_journal(folder: int, name: str) -> _Journal | None:
    """Return the journal of an unfinished blob in the open folder; None where there is none that can be read."""
    try:
        file = open_file(folder, name + _JOURNAL_SUFFIX)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(read_file(file, _MAX_JOURNAL_BYTES), type=_Journal)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError):
        return None
    finally:
        os.close(file)


def partial_bytes(root: Path, digest: Digest) -> int:
    """Return how many bytes of a blob an unfinished file holds already."""
    with store_errors("read the model store"):
        try:
            with open_folder(root, UPLOADS) as folder:
                journal = read_journal(folder, PREFIX + digest.hex)
        except FileNotFoundError:
            return 0
    return Ranges(journal.done).total_bytes if journal else 0


def list_partials(root: Path, older_than: float) -> list[tuple[Digest, int]]:
    """Return the unfinished blobs last written before that time (epoch seconds), with the bytes that they take."""
    found = []
    with store_errors("read the model store"):
        try:
            with open_folder(root, UPLOADS) as folder:
                for name in names_in(folder):
                    match = _PARTIAL.fullmatch(name)
                    if match:
                        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        if status.st_mtime < older_than:
                            found.append((Digest(match[1]), status.st_blocks * 512))
        except FileNotFoundError:
            return []
    return found


def remove_partial(root: Path, digest: Digest) -> bool:
    """Delete an unfinished blob unless someone is writing it; tell whether it was deleted."""
    with store_errors(_ACTION), open_folder(root, UPLOADS, create=True) as folder:
        name = PREFIX + digest.hex
        try:
            file = open_file(folder, name)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_upload(folder, name + _JOURNAL_SUFFIX)
            remove_upload(folder, name)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
    return True
