"""The model store: blobs and manifests below one folder, shared with other processes and with Ollama."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ollamapy.errors import BlobNotFoundError
from ollamapy.names import Digest, ModelName
from ollamapy.store import blobs, manifests
from ollamapy.store.blobs import BlobWriter
from ollamapy.store.layout import BLOBS, blob_name, open_file, open_folder, read_file, store_errors
from ollamapy.store.manifests import Manifest, StoredManifest
from ollamapy.store.prune import prune_blobs
from ollamapy.store.uploads import locked

MAX_TEXT_BYTES = 8 << 20


class Store:
    """A store at `root`. Holds no state: everything is on disk, and every method may be called from any thread.

    Every method blocks, and raises StoreError where the disk refuses.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def check_writable(self) -> None:
        """Make the store's folders; raises StoreError with what to do where it can't be written."""
        blobs.check_writable(self.root)

    def open_blob(self, digest: Digest) -> Path:
        """Return the path of a blob, which is a regular file with that content.

        Raises:
            BlobNotFoundError: there is none.
        """
        self.blob_size(digest)
        return self.root / BLOBS / blob_name(digest)

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether there is a blob."""
        return blobs.blob_size(self.root, digest) is not None

    def blob_size(self, digest: Digest) -> int:
        """Return the size of a blob in bytes; raises BlobNotFoundError."""
        size = blobs.blob_size(self.root, digest)
        if size is None:
            raise BlobNotFoundError(f"blob {digest} not found; upload it, or create or pull the model again")
        return size

    def read_blob(self, digest: Digest, limit: int = MAX_TEXT_BYTES) -> bytes:
        """Return the content of a small blob; raises BlobNotFoundError, StoreError if it exceeds `limit` bytes."""
        self.blob_size(digest)
        with store_errors("read the model store"), open_folder(self.root, BLOBS) as folder:
            file = open_file(folder, blob_name(digest))
            try:
                return read_file(file, limit)
            finally:
                os.close(file)

    def blob_writer(self) -> BlobWriter:
        """Return a writer for a new blob, to be used in a `with` block."""
        return BlobWriter(self.root)

    def put_bytes(self, data: bytes) -> Digest:
        """Store bytes as a blob and return its digest."""
        with self.blob_writer() as writer:
            writer.write(data)
            return writer.commit()

    def put_file(self, path: Path) -> Digest:
        """Store a copy of a file as a blob and return its digest; raises InvalidFileError where there is no file."""
        return blobs.copy_file(self.root, path)

    def read_manifest(self, name: ModelName) -> StoredManifest:
        """Return the manifest of a model, whatever the case of its name.

        Raises:
            ModelNotFoundError: there is none.
            ManifestError: it is malformed.
        """
        return manifests.read_manifest(self.root, name)[0]

    def list_manifests(self) -> list[StoredManifest]:
        """Return all manifests, the newest first; malformed ones are logged and left out."""
        return manifests.list_manifests(self.root)

    def write_manifest(self, name: ModelName, manifest: Manifest) -> StoredManifest:
        """Write a manifest, over one whose name differs in case alone.

        Raises:
            BlobNotFoundError: a blob of it is missing; nothing was written.
        """
        return self._put_manifest(name, manifests.encode_manifest(manifest))

    def copy_manifest(self, source: ModelName, target: ModelName) -> StoredManifest:
        """Give a model a second name, its manifest byte for byte; raises ModelNotFoundError."""
        return self._put_manifest(target, manifests.read_manifest(self.root, source)[1])

    def delete_manifest(self, name: ModelName) -> None:
        """Delete a manifest and leave its blobs; raises ModelNotFoundError."""
        with store_errors("delete from the model store"), locked(self.root):
            manifests.delete_manifest(self.root, name)

    def prune(self, digests: Iterable[Digest]) -> list[Digest]:
        """Delete those of these blobs that no manifest names, and return them."""
        with store_errors("delete from the model store"), locked(self.root):
            return prune_blobs(self.root, digests)

    def _put_manifest(self, name: ModelName, data: bytes) -> StoredManifest:
        with store_errors("write to the model store"), locked(self.root):
            for digest in manifests.parse_manifest(data).digests:
                self.blob_size(digest)
            return manifests.put_manifest(self.root, name, data)
