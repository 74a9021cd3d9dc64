"""Manifests: which blobs make up a model, in Ollama's JSON; reading and writing them in the store."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ollamapy.errors import (
    InvalidDigestError,
    InvalidNameError,
    ManifestError,
    ModelNotFoundError,
    OllamapyError,
    StoreError,
)
from ollamapy.names import Digest, ModelName
from ollamapy.store.gojson import encode_go_json
from ollamapy.store.layout import (
    MANIFESTS,
    UPLOADS,
    manifest_parts,
    names_in,
    open_file,
    open_folder,
    open_subfolder,
    read_file,
    store_errors,
    write_all,
)
from ollamapy.store.uploads import create_upload, remove_upload

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
MAX_MANIFEST_BYTES = 4 << 20
MAX_LAYERS = 16_384
MAX_BLOB_BYTES = 1 << 50
_RETRIES = 16

log = logging.getLogger("ollamapy.store")


@dataclass(frozen=True, slots=True)
class Layer:
    """A blob and what it is for; `size` in bytes. `origin` and `name` are Ollama's, empty for most."""

    media_type: str
    digest: Digest
    size: int
    origin: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The blobs of a model."""

    config: Layer
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """Bytes of all blobs together, as Ollama counts them."""
        return self.config.size + sum(layer.size for layer in self.layers)

    @property
    def digests(self) -> tuple[Digest, ...]:
        """Every blob once."""
        return tuple(dict.fromkeys(layer.digest for layer in (*self.layers, self.config)))

    def of_type(self, media_type: str) -> tuple[Layer, ...]:
        """Return the layers of a media type."""
        return tuple(layer for layer in self.layers if layer.media_type == media_type)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in the store: its name in the case on disk, its file's digest and time (epoch seconds)."""

    name: ModelName
    manifest: Manifest
    digest: Digest
    modified_at: float


@dataclass(frozen=True, slots=True)
class DamagedManifest:
    """A manifest that can't be read: its name, its file's digest and time (epoch seconds), and why."""

    name: ModelName
    digest: Digest
    modified_at: float
    why: str


class _RawLayer(msgspec.Struct):
    digest: str
    size: int
    media_type: str = msgspec.field(name="mediaType", default="")
    origin: str = msgspec.field(name="from", default="")
    name: str = ""


class _RawManifest(msgspec.Struct):
    config: _RawLayer
    layers: list[_RawLayer] | None = None


class _Kind(msgspec.Struct):
    """What tells a list of manifests, which need not name its own type."""

    media_type: str = msgspec.field(name="mediaType", default="")
    manifests: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(_RawManifest)
_kind_decoder = msgspec.json.Decoder(_Kind)


def parse_manifest(data: bytes) -> Manifest:
    """Parse a manifest; raises ManifestError for one that is malformed, of another type, or absurdly large."""
    try:
        kind = _kind_decoder.decode(data)
        if bytes(kind.manifests) or kind.media_type not in ("", MANIFEST_TYPE, OCI_MANIFEST_TYPE):
            raise ManifestError("this kind of manifest is not supported: it lists several models")
        raw = _decoder.decode(data)
        layers = raw.layers or []
        if len(layers) > MAX_LAYERS:
            raise ManifestError(f"the manifest has {len(layers)} layers; at most {MAX_LAYERS} are possible")
        manifest = Manifest(_layer(raw.config), tuple(_layer(layer) for layer in layers))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidDigestError) as exc:
        raise ManifestError(f"the manifest is malformed ({exc}); create or pull the model again") from exc
    sizes: dict[Digest, int] = {}
    for layer in (*manifest.layers, manifest.config):
        if sizes.setdefault(layer.digest, layer.size) != layer.size:
            raise ManifestError("the manifest is malformed (one blob has two sizes); create or pull the model again")
    return manifest


def _layer(raw: _RawLayer) -> Layer:
    if not 0 <= raw.size <= MAX_BLOB_BYTES:
        raise ManifestError(f"the manifest is malformed (a size of {raw.size}); create or pull the model again")
    return Layer(raw.media_type, Digest.parse(raw.digest), raw.size, raw.origin, raw.name)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes that Ollama writes for the same manifest."""
    return encode_go_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _layer_json(manifest.config),
            "layers": [_layer_json(layer) for layer in manifest.layers],
        }
    )


def _layer_json(layer: Layer) -> dict[str, str | int]:
    fields: dict[str, str | int] = {"mediaType": layer.media_type, "digest": str(layer.digest), "size": layer.size}
    if layer.origin:
        fields["from"] = layer.origin
    if layer.name:
        fields["name"] = layer.name
    return fields


def read_manifest(root: Path, name: ModelName) -> tuple[StoredManifest, bytes]:
    """Find a manifest whatever the case of its name, and return it with its bytes.

    Raises:
        ModelNotFoundError: there is none.
        ManifestError: it is malformed.
        StoreError: it can't be read.
    """
    with store_errors("read the model store"):
        for found in _find(root, name):
            read = _read(root, found)
            if read is not None:
                data, modified_at = read
                return StoredManifest(found, parse_manifest(data), Digest.of(data), modified_at), data
    raise ModelNotFoundError(str(name))


def list_manifests(root: Path) -> list[StoredManifest]:
    """Return all manifests, the newest first; one that can't be read is logged and left out."""
    found = []
    for entry in _list(root):
        if isinstance(entry, StoredManifest):
            found.append(entry)
        else:
            log.warning("skipping the manifest of %s: %s", entry.name, entry.why)
    return sorted(found, key=lambda stored: (-stored.modified_at, stored.name))


def list_damaged(root: Path) -> list[DamagedManifest]:
    """Return the manifests that can't be read, by name."""
    return sorted((entry for entry in _list(root) if isinstance(entry, DamagedManifest)), key=lambda entry: entry.name)


def _list(root: Path) -> Iterator[StoredManifest | DamagedManifest]:
    with store_errors("read the model store"):
        for name in _find(root, None):
            data, modified_at = b"", 0.0
            try:
                read = _read(root, name)
                if read is not None:
                    data, modified_at = read
                    yield StoredManifest(name, parse_manifest(data), Digest.of(data), modified_at)
            except (OSError, OllamapyError) as exc:
                yield DamagedManifest(name, Digest.of(data), modified_at, str(exc))


def put_manifest(root: Path, name: ModelName, data: bytes) -> StoredManifest:
    """Write a manifest's bytes under a name, over one that differs in case alone; call it with the store locked."""
    manifest = parse_manifest(data)
    with store_errors("write to the model store"):
        target = next(_find(root, name), name)
        *folders, file_name = manifest_parts(target)
        with open_folder(root, UPLOADS, create=True) as uploads, _upload(uploads, data) as upload:
            for attempt in range(_RETRIES):
                try:
                    with open_folder(root, MANIFESTS, *folders, create=True) as folder:
                        os.rename(upload, file_name, src_dir_fd=uploads, dst_dir_fd=folder)
                        os.fsync(folder)
                        modified_at = os.stat(file_name, dir_fd=folder, follow_symlinks=False).st_mtime
                    return StoredManifest(target, manifest, Digest.of(data), modified_at)
                except FileNotFoundError:
                    # another program removed the empty folder before the file was in it
                    if attempt == _RETRIES - 1:
                        raise
    raise StoreError("can't write to the model store: its folders vanish; stop the program that removes them")


def delete_manifest(root: Path, name: ModelName) -> ModelName:
    """Delete a manifest and the folders left empty; return its name as it was on disk.

    Raises:
        ModelNotFoundError: there is none.
    """
    with store_errors("delete from the model store"):
        for found in _find(root, name):
            *folders, file_name = manifest_parts(found)
            with open_folder(root, MANIFESTS, *folders) as folder:
                os.unlink(file_name, dir_fd=folder)
            _remove_empty(root, folders)
            return found
    raise ModelNotFoundError(str(name))


@contextmanager
def _upload(folder: int, data: bytes) -> Iterator[str]:
    with ExitStack() as stack:
        name, file = create_upload(folder)
        stack.callback(os.close, file)
        stack.callback(remove_upload, folder, name)
        write_all(file, data)
        os.fsync(file)
        yield name


def _remove_empty(root: Path, folders: list[str]) -> None:
    for depth in range(len(folders), 0, -1):
        try:
            with open_folder(root, MANIFESTS, *folders[: depth - 1]) as parent:
                os.rmdir(folders[depth - 1], dir_fd=parent)
        except OSError as exc:
            if exc.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                return
            raise


def _read(root: Path, name: ModelName) -> tuple[bytes, float] | None:
    """Return a manifest's bytes and time; None where it vanished or is no regular file."""
    *folders, file_name = manifest_parts(name)
    try:
        with open_folder(root, MANIFESTS, *folders) as folder:
            file = open_file(folder, file_name)
    except FileNotFoundError:
        return None
    try:
        return read_file(file, MAX_MANIFEST_BYTES), os.fstat(file).st_mtime
    finally:
        os.close(file)


def _find(root: Path, name: ModelName | None) -> Iterator[ModelName]:
    """Yield the names on disk that equal a name but for case, the exact one first; all names for None."""
    try:
        with open_folder(root, MANIFESTS) as folder:
            for parts in _walk(folder, manifest_parts(name) if name else (None,) * 4):
                try:
                    yield ModelName(*parts)
                except InvalidNameError:
                    log.debug("a file in the manifests is no model: %r", parts)
    except FileNotFoundError:
        return


def _walk(folder: int, wanted: tuple[str | None, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of regular files as deep as `wanted` is long, without following links."""
    first, *rest = wanted
    for entry in _matching(folder, first):
        status = os.stat(entry, dir_fd=folder, follow_symlinks=False)
        if not rest and stat.S_ISREG(status.st_mode):
            yield (entry,)
        elif rest and stat.S_ISDIR(status.st_mode):
            inner = open_subfolder(folder, entry)
            try:
                yield from ((entry, *parts) for parts in _walk(inner, tuple(rest)))
            finally:
                os.close(inner)


def _matching(folder: int, wanted: str | None) -> list[str]:
    entries = names_in(folder)
    if wanted is None:
        return entries
    return sorted((entry for entry in entries if entry.lower() == wanted.lower()), key=lambda entry: entry != wanted)
