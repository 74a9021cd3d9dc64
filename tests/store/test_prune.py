from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ollamapy.errors import BlobNotFoundError, StoreError
from ollamapy.names import Digest, ModelName
from ollamapy.store import CONFIG_TYPE, Layer, Manifest, Store
from tests.store.conftest import MakeModel, tree

MODEL = ModelName.parse("tiny")


def test_blobs_of_a_deleted_model_go_and_shared_ones_stay(store: Store, make_model: MakeModel) -> None:
    first = make_model("tiny", layers=(("x", b"shared"), ("y", b"own")))
    make_model("other", layers=(("x", b"shared"),))
    store.delete_manifest(MODEL)
    assert store.prune(first.manifest.digests) == [Digest.of(b"own")]
    assert store.has_blob(Digest.of(b"shared"))
    assert store.has_blob(first.manifest.config.digest)


def test_t20_only_the_blobs_asked_for_are_ever_deleted(store: Store) -> None:
    foreign = store.put_bytes(b"of another program")
    ours = store.put_bytes(b"ours")
    partial = store.root / "blobs" / f"sha256-{'c' * 64}-partial"
    partial.write_bytes(b"half")
    assert store.prune([ours, Digest("d" * 64)]) == [ours]
    assert tree(store.root) == {f"blobs/sha256-{foreign.hex}", f"blobs/{partial.name}"}


@pytest.mark.parametrize(
    "text",
    ["sha256:{0}", "sha256-{0}", "{{ not json sha256:{0}", '{{"manifests":[{{"digest":"sha256:{0}"}}]}}'],
)
def test_t20_a_digest_in_any_manifest_however_broken_keeps_its_blob(text: str, store: Store) -> None:
    digest = store.put_bytes(b"wanted")
    for folder in ("manifests/a/b/c", "manifests/deeper/a/b/c/d", "manifests-v2/a"):
        path = store.root / folder / "file"
        path.parent.mkdir(parents=True)
        path.write_text(text.format(digest.hex.upper() if "-v2" in folder else digest.hex))
        assert store.prune([digest]) == []
        path.unlink()
    assert store.prune([digest]) == [digest]


def test_t20_manifests_that_lie_among_the_blobs_count_too(store: Store) -> None:
    layer = store.put_bytes(b"wanted")
    manifest = store.put_bytes(f'{{"layers":[{{"digest":"sha256:{layer.hex}"}}]}}'.encode())
    link = store.root / "manifests-v2" / "host" / "name"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../blobs/sha256-{manifest.hex}")
    assert store.prune([layer, manifest]) == []


def test_t20_nothing_is_deleted_when_a_manifest_cannot_be_read(store: Store) -> None:
    digest = store.put_bytes(b"wanted")
    folder = store.root / "manifests"
    for _ in range(12):
        folder = folder / "x"
    folder.mkdir(parents=True)
    with pytest.raises(StoreError):
        store.prune([digest])
    assert store.has_blob(digest)


def test_pruning_an_empty_store_deletes_nothing(store: Store) -> None:
    assert store.prune([]) == []
    assert store.prune([Digest("a" * 64)]) == []


def test_a_manifest_written_while_its_blobs_are_pruned_never_lacks_one(store: Store) -> None:
    """One thread prunes what the other one is about to use: the manifest is refused, or the blobs stay."""
    digest = store.put_bytes(b"contended")
    manifest = Manifest(Layer(CONFIG_TYPE, digest, 9), ())
    dangling = []
    for _ in range(30):
        pruner = threading.Thread(target=store.prune, args=([digest],))
        pruner.start()
        try:
            store.write_manifest(MODEL, manifest)
        except BlobNotFoundError:
            pruner.join()
            store.put_bytes(b"contended")
            continue
        pruner.join()
        if not store.has_blob(digest):
            dangling.append(digest)
        store.delete_manifest(MODEL)
        store.put_bytes(b"contended")
    assert dangling == []


def test_a_path_is_never_made_from_what_a_manifest_says(store: Store, make_model: MakeModel, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    make_model("tiny")
    path = store.root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    path.write_text('{"config":{"digest":"sha256:../../../victim","size":1}}')
    assert store.list_manifests() == []
    store.delete_manifest(MODEL)
    assert victim.read_text() == "precious"
