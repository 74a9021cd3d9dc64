"""Brings files of this machine to the daemon: into its store where this process shares that, else by HTTP.

The daemon opens no path for anybody. A command that puts files into the store itself first makes sure that the store of
its own settings is the daemon's: it leaves a blob of random bytes there, which the daemon then has to know.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ollamapy.cli.daemon import can_start
from ollamapy.cli.progress import Progress
from ollamapy.client import Client
from ollamapy.config import Settings
from ollamapy.errors import InvalidFileError, StoreError
from ollamapy.store import Store

PIECE_BYTES = 1 << 20
PROOF_BYTES = 32
HOW: Mapping[str, str] = {
    "reflink": "shares its blocks with the model store",
    "hardlink": "is linked into the model store",
    "copy": "is copied into the model store",
    "there": "is in the model store already",
}


class Delivery:
    """Files on their way to one daemon. `link` allows hard links where blocks can't be shared."""

    def __init__(self, client: Client, settings: Settings, status: Progress, *, link: bool = False) -> None:
        self._client = client
        self._status = status
        self._link = link
        self.store = find_shared_store(client, settings)

    def send(self, paths: Iterable[Path]) -> dict[str, str]:
        """Make sure that the daemon has these files and return their digests by name.

        Raises InvalidFileError, StoreError, DiskFullError, ServiceError.
        """
        digests: dict[str, str] = {}
        for path in paths:
            name = path.name if path.name not in digests else f"{path.parent.name}/{path.name}"
            digests[name] = self._upload(path) if self.store is None else self._place(self.store, path)
        return digests

    def _place(self, store: Store, path: Path) -> str:
        total = max(path.stat().st_size, 1)

        def on_bytes(done: int) -> None:
            self._status.show(f"reading {path.name}", done, total)

        placed = store.place_file(path, link=self._link, on_bytes=on_bytes)
        self._status.show(f"{path.name} {HOW[placed.how]}")
        return str(placed.digest)

    def _upload(self, path: Path) -> str:
        digest = hash_file(path, self._status)
        if not self._client.has_blob(digest):
            content = pieces(path, f"copying file {digest}", self._status)
            self._client.upload_blob(digest, content, path.stat().st_size)
        return digest


def find_shared_store(client: Client, settings: Settings) -> Store | None:
    """Return the store of this process's settings if it is the daemon's too, and may be written to."""
    store = Store(settings.models_dir)
    if not can_start(settings.host) or not (settings.models_dir / "blobs").is_dir():
        return None
    try:
        proof = store.put_bytes(secrets.token_bytes(PROOF_BYTES))
        try:
            return store if client.has_blob(str(proof)) else None
        finally:
            store.prune([proof])
    except StoreError:
        return None


def hash_file(path: Path, status: Progress) -> str:
    """Return the digest of a file as `sha256:<hex>`."""
    digest = hashlib.sha256()
    for piece in pieces(path, f"reading {path.name}", status):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def pieces(path: Path, label: str, status: Progress) -> Iterator[bytes]:
    """Yield a file's content, telling how far it is; raises InvalidFileError if it can't be read."""
    try:
        total, done = path.stat().st_size, 0
        with path.open("rb") as source:
            while piece := source.read(PIECE_BYTES):
                done += len(piece)
                status.show(label, done, total)
                yield piece
    except OSError as exc:
        raise InvalidFileError(f"couldn't read {path.name}: {exc.strerror}") from exc
