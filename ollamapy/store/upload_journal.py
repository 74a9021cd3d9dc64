"""Where uploads to registries go on: a small file for each, so that a later push finds what an earlier one began.

    uploads/push-<hex>   the address at which the registry takes the rest; <hex> stands for the blob and the repository

The file is locked while someone sends that blob there; who finds it locked waits a little, as a push that was cancelled
may be about to end, and then begins an upload of their own. All of this is a help and no need: where the store can't be
written, a push goes without it.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ollamapy.names import Digest
from ollamapy.store.layout import FILE_MODE, UPLOADS, names_in, open_folder, read_file
from ollamapy.store.uploads import remove_upload

MAX_ADDRESS_BYTES = 16 << 10
WAIT_SECONDS = 6.0
POLL_SECONDS = 0.1
KEPT_SECONDS = 7 * 86_400  # about as long as registries keep uploads that nobody goes on with
_JOURNAL = re.compile(r"push-[0-9a-f]{64}")


class UploadJournal:
    """The address of one upload, in an open file; with none, nothing is kept. Methods block."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    def read(self) -> str:
        """Return the address that was written last, "" where there is none."""
        with suppress(OSError, UnicodeDecodeError):
            return read_file(self._file, MAX_ADDRESS_BYTES).decode("ascii") if self._file is not None else ""
        return ""

    def write(self, address: str) -> None:
        """Keep an address in place of the last one; "" forgets it."""
        data = address.encode()
        if self._file is not None and len(data) <= MAX_ADDRESS_BYTES:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, data, 0)


@contextmanager
def open_journal(root: Path, repository: str, digest: Digest, wait_seconds: float) -> Iterator[UploadJournal]:
    """Yield the journal of a blob on its way to a repository (its URL); one without an address is deleted at the end.

    Blocks, for `wait_seconds` at most while another push has it.
    """
    name = f"push-{Digest.of(f'{repository} {digest}'.encode()).hex}"
    with ExitStack() as stack:
        file = None
        with suppress(OSError):
            folder = stack.enter_context(open_folder(root, UPLOADS, create=True))
            _sweep(folder, time.time() - KEPT_SECONDS)
            file = _lock(stack, folder, name, time.monotonic() + wait_seconds)
        yield UploadJournal(file)
        with suppress(OSError):
            if file is not None and not os.fstat(file).st_size:
                remove_upload(folder, name)


def _lock(stack: ExitStack, folder: int, name: str, until: float) -> int | None:
    """Open a file for the duration of a stack and lock it, until a moment at most; None where it was deleted meanwhile.

    Raises OSError where it stays locked.
    """
    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=folder)
    stack.callback(os.close, file)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return file if os.fstat(file).st_nlink else None


def _sweep(folder: int, older_than: float) -> None:
    """Delete what was last written before that time (epoch seconds): its registry has forgotten the upload too."""
    for name in names_in(folder):
        if _JOURNAL.fullmatch(name) and os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < older_than:
            remove_upload(folder, name)
