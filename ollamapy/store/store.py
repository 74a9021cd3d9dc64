"""The model store: blobs and manifests below one folder, shared with other processes and with Ollama."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ollamapy.errors import BlobNotFoundError, DiskFullError
from ollamapy.names import Digest, ModelName
from ollamapy.store import blobs, manifests
from ollamapy.store.blobs import BlobWriter
from ollamapy.store.layout import BLOBS, blob_name, open_file, open_folder, read_file, store_errors
from ollamapy.store.manifests import DamagedManifest, Layer, Manifest, StoredManifest
from ollamapy.store.partial import PartialBlob, list_partials, partial_bytes, remove_partial
from ollamapy.store.place import OnBytes, Placed, place_file
from ollamapy.store.prune import prune_blobs, unused_blobs
from ollamapy.store.pulled import note_pulled, read_pulled
from ollamapy.store.translations import read_translation, write_translation
from ollamapy.store.upload_journal import WAIT_SECONDS, UploadJournal, open_journal
from ollamapy.store.uploads import locked

MAX_TEXT_BYTES = 8 << 20
SPARE_BYTES = 64 << 20


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

    def delete_damaged(self, digest: Digest) -> bool:
        """Delete a blob whose content is not that of its digest, and tell whether it was one; reads all of it."""
        return blobs.delete_damaged(self.root, digest)

    def blob_writer(self) -> BlobWriter:
        """Return a writer for a new blob, to be used in a `with` block."""
        return BlobWriter(self.root)

    @contextmanager
    def read_blob_file(self, digest: Digest) -> Iterator[int]:
        """Yield the descriptor of a blob that is open for reading; raises BlobNotFoundError."""
        self.blob_size(digest)
        with store_errors("read the model store"), open_folder(self.root, BLOBS) as folder:
            file = open_file(folder, blob_name(digest))
            try:
                yield file
            finally:
                os.close(file)

    def partial_blob(self, digest: Digest, size_bytes: int) -> PartialBlob:
        """Return a blob that arrives in parts, to be used in a `with` block; what came earlier is in it."""
        return PartialBlob(self.root, digest, size_bytes)

    def partial_bytes(self, digest: Digest) -> int:
        """Return how many bytes of a blob are kept of a download that did not end."""
        return partial_bytes(self.root, digest)

    def list_partials(self, older_than: float) -> list[tuple[Digest, int]]:
        """Return the unfinished blobs last written before that time, and the bytes that they take on the disk."""
        return list_partials(self.root, older_than)

    def remove_partial(self, digest: Digest) -> bool:
        """Delete an unfinished blob that nobody is writing, and tell whether that was done."""
        return remove_partial(self.root, digest)

    def upload_journal(
        self, repository: str, digest: Digest, wait_seconds: float = WAIT_SECONDS
    ) -> AbstractContextManager[UploadJournal]:
        """Return what remembers where the upload of a blob to a repository (its URL) goes on; for a `with` block."""
        return open_journal(self.root, repository, digest, wait_seconds)

    def check_space(self, wanted: Iterable[tuple[Digest, int]]) -> None:
        """Raise DiskFullError if blobs of these digests and sizes would not fit beside what is there already."""
        self.check_free(sum(max(0, size - self.partial_bytes(digest)) for digest, size in wanted))

    def check_free(self, needed: int) -> None:
        """Raise DiskFullError if that many bytes would not fit."""
        with store_errors("read the model store"), open_folder(self.root, create=True) as folder:
            status = os.fstatvfs(folder)
        free = status.f_bavail * status.f_frsize
        if needed + SPARE_BYTES > free:
            raise DiskFullError(
                f"not enough space on the disk: {needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free; "
                "remove models with `ollamapy rm`, or set OLLAMA_MODELS to a folder on a larger disk"
            )

    def put_bytes(self, data: bytes) -> Digest:
        """Store bytes as a blob and return its digest."""
        with self.blob_writer() as writer:
            writer.write(data)
            return writer.commit()

    def put_file(self, path: Path) -> Digest:
        """Make a file a blob and return its digest; raises InvalidFileError where there is no file."""
        return self.place_file(path).digest

    def place_file(self, path: Path, *, link: bool = False, on_bytes: OnBytes = lambda _: None) -> Placed:
        """Make a file of this machine a blob; see `place.place_file`. Raises InvalidFileError, DiskFullError."""
        return place_file(self.root, path, link=link, check_free=self.check_free, on_bytes=on_bytes)

    def read_translation(self, digest: Digest) -> tuple[Layer, ...]:
        """Return the blobs that llama.cpp loads in the place of one; nothing where one of them is not there."""
        layers = read_translation(self.root, digest)
        return layers if all(blobs.blob_size(self.root, layer.digest) == layer.size for layer in layers) else ()

    def write_translation(self, digest: Digest, layers: Sequence[Layer]) -> None:
        """Note which blobs llama.cpp loads in the place of one; they are kept as long as that one is."""
        with store_errors("write to the model store"), locked(self.root):
            write_translation(self.root, digest, layers)

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

    def list_damaged(self) -> list[DamagedManifest]:
        """Return the manifests that can't be read."""
        return manifests.list_damaged(self.root)

    def write_manifest(self, name: ModelName, manifest: Manifest) -> StoredManifest:
        """Write a manifest, over one whose name differs in case alone.

        Raises:
            BlobNotFoundError: a blob of it is missing; nothing was written.
        """
        return self._put_manifest(name, manifests.encode_manifest(manifest))

    def put_manifest(self, name: ModelName, data: bytes) -> StoredManifest:
        """Write a manifest byte for byte as it came from elsewhere; raises as `write_manifest` does, ManifestError."""
        return self._put_manifest(name, data)

    def note_pulled(self, stored: StoredManifest) -> None:
        """Remember that a model came from its registry as it is."""
        with store_errors("write to the model store"), locked(self.root):
            note_pulled(self.root, stored.name, stored.digest)

    def is_pulled(self, stored: StoredManifest) -> bool:
        """Tell whether a model is as it came from its registry; one that was made or changed here is not."""
        return read_pulled(self.root).get(stored.name.full.lower()) == str(stored.digest)

    def read_manifest_file(self, name: ModelName) -> tuple[StoredManifest, bytes]:
        """Return a manifest with the bytes of its file; raises ModelNotFoundError, ManifestError."""
        return manifests.read_manifest(self.root, name)

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

    def unused_blobs(self, older_than: float) -> list[tuple[Digest, int]]:
        """Return the blobs that no manifest names and that were last used before that time (epoch seconds)."""
        with locked(self.root):
            return unused_blobs(self.root, older_than)

    def _put_manifest(self, name: ModelName, data: bytes) -> StoredManifest:
        with store_errors("write to the model store"), locked(self.root):
            for digest in manifests.parse_manifest(data).digests:
                self.blob_size(digest)
            return manifests.put_manifest(self.root, name, data)
