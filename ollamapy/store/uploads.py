"""Unfinished files of the store, and its lock.

A file being written is locked by its writer. The lock ends with the writer, however it ends, so that whoever writes
next can tell what was left behind and free its space.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ollamapy.store.layout import FILE_MODE, UPLOADS, names_in, open_folder

_PREFIX = "ollamapy-"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the store's lock: what is decided from the manifests stays true until it is done. Blocks."""
    with open_folder(root, UPLOADS, create=True) as folder:
        _lock(folder, fcntl.LOCK_EX)
        yield


def create_upload(folder: int) -> tuple[str, int]:
    """Create an empty locked file in the open uploads folder and return its name and descriptor."""
    while True:
        name = _PREFIX + secrets.token_hex(8)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, FILE_MODE, dir_fd=folder)
        _lock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return name, file
        os.close(file)  # swept away between creation and lock


def sweep_uploads(folder: int) -> None:
    """Delete our unfinished files whose writer is gone; what others put there stays."""
    for name in names_in(folder):
        if not name.startswith(_PREFIX):
            continue
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            continue  # finished meanwhile, or no file
        try:
            if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                remove_upload(folder, name)
        finally:
            os.close(file)


def remove_upload(folder: int, name: str) -> None:
    """Delete an unfinished file; one that is gone already is no error."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _lock(file: int, how: int) -> bool:
    """Lock a file; False where another process holds it, or the file system knows no locks."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_LOCKS:
            raise
        return False
    return True
