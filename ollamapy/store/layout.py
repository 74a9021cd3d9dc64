"""Where things lie in a model store, and opening them there: never through a symbolic link, always below the root.

    manifests/<host>/<namespace>/<model>/<tag>   JSON
    blobs/sha256-<hex>                           content under its digest
    translations/sha256-<hex>                    ours alone, JSON: the blobs that llama.cpp loads in that one's place
    uploads/                                     ours alone: files that are being written, and the store's lock

Source: Ollama's store, whose programs may share it with us. They delete what they don't know from `blobs`, hence a
folder of our own for unfinished files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ollamapy.errors import StoreError
from ollamapy.names import Digest, ModelName

BLOBS = "blobs"
MANIFESTS = "manifests"
TRANSLATIONS = "translations"
UPLOADS = "uploads"
FOLDER_MODE = 0o700
FILE_MODE = 0o600

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_LINKED = (errno.ELOOP, errno.ENOTDIR, errno.EEXIST)
_CHUNK_BYTES = 1 << 20
WRITE_BYTES = 2 << 20  # the system keeps what came in such pieces, each at a multiple of them, in huge pages


def blob_name(digest: Digest) -> str:
    """Return the file name of a blob."""
    return f"sha256-{digest.hex}"


def manifest_parts(name: ModelName) -> tuple[str, str, str, str]:
    """Return folders and file name of a manifest below `manifests`."""
    return name.host, name.namespace, name.model, name.tag


@contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what failed and what to do, without a path."""
    try:
        yield
    except OSError as exc:
        raise StoreError(f"can't {action}: {_explain(exc)}") from exc


def _explain(exc: OSError) -> str:
    if exc.errno in _FULL:
        return "the disk is full; remove models with `ollamapy rm`, or set OLLAMA_MODELS to a folder on a larger disk"
    if exc.errno in _FORBIDDEN:
        return (
            f"{(exc.strerror or 'permission denied').lower()}; give this user write access to the model store, or set "
            "OLLAMA_MODELS to another folder"
        )
    if exc.errno in _LINKED:
        return "a symbolic link or a file stands where a folder of the model store should be; set OLLAMA_MODELS anew"
    reason = (exc.strerror or type(exc).__name__).lower()
    return f"{reason}; make sure that OLLAMA_MODELS names a folder where this user may read and write"


@contextmanager
def open_folder(root: Path, *parts: str, create: bool = False) -> Iterator[int]:
    """Open a folder below the root and yield its descriptor; the root itself may be a symbolic link.

    Raises:
        OSError: ENOENT where it is missing and `create` is false, ELOOP or ENOTDIR for a link or a file.
    """
    if create:
        root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            inner = open_subfolder(folder, part, create=create)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def open_subfolder(folder: int, name: str, *, create: bool = False) -> int:
    """Open a folder within an open one, making it if asked to; links are refused."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another process may be faster
        os.mkdir(name, FOLDER_MODE, dir_fd=folder)
    return os.open(name, flags, dir_fd=folder)


def names_in(folder: int) -> list[str]:
    """Return the names in an open folder, sorted."""
    return sorted(os.listdir(folder))


def open_file(folder: int, name: str) -> int:
    """Open a regular file for reading; raises FileNotFoundError for anything else, links included."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, "is a symbolic link") from exc
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(errno.ENOENT, "is not a regular file")
    return file


def read_file(file: int, limit: int) -> bytes:
    """Read an open file from its start; raises OSError if it is larger than the limit."""
    pieces, size = [], 0
    while piece := os.pread(file, _CHUNK_BYTES, size):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise OSError(errno.EOVERFLOW, f"larger than {limit} bytes")
    return b"".join(pieces)


def file_size(folder: int, name: str) -> int | None:
    """Return the size of a regular file in bytes, None where there is none."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def write_all(file: int, data: bytes | memoryview) -> None:
    """Write all bytes to an open file."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
