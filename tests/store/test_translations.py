from __future__ import annotations

from ollamapy.names import Digest, ModelName
from ollamapy.store import WEIGHTS_TYPE, Layer, Store
from tests.store.conftest import MakeModel, tree

NOBODY = Digest("0" * 64)


def put(store: Store, data: bytes) -> Layer:
    return Layer(WEIGHTS_TYPE, store.put_bytes(data), len(data))


def test_a_note_is_read_as_it_was_written(store: Store) -> None:
    layers = (put(store, b"one"), put(store, b"two"))
    store.write_translation(NOBODY, layers)
    assert store.read_translation(NOBODY) == layers
    assert store.read_translation(Digest("1" * 64)) == ()


def test_a_note_whose_blob_is_gone_counts_for_nothing(store: Store) -> None:
    layer = put(store, b"one")
    store.write_translation(NOBODY, [layer])
    store.open_blob(layer.digest).write_bytes(b"cut")
    store.open_blob(layer.digest).write_bytes(b"")
    assert store.read_translation(NOBODY) == ()


def test_a_note_that_can_not_be_read_counts_for_nothing(store: Store) -> None:
    store.write_translation(NOBODY, [put(store, b"one")])
    path = store.root / "translations" / f"sha256-{NOBODY.hex}"
    for text in ("", "{", '{"version": 0, "layers": []}', '{"version": 1, "layers": [{"digest": "../x"}]}', "[" * 9999):
        path.write_text(text)
        assert store.read_translation(NOBODY) == ()


def test_what_stands_for_a_blob_is_kept_with_it_and_deleted_with_it(store: Store, make_model: MakeModel) -> None:
    stored = make_model("tiny")
    source = stored.manifest.of_type(WEIGHTS_TYPE)[0].digest
    made = put(store, b"made")
    store.write_translation(source, [made])
    assert store.unused_blobs(older_than=float("inf")) == []
    assert store.prune([source, made.digest]) == []
    store.delete_manifest(ModelName.parse("tiny"))
    assert made.digest in store.prune(stored.manifest.digests)
    assert tree(store.root / "translations") == set()
    assert not store.has_blob(made.digest)


def test_what_a_model_of_its_own_names_outlives_the_note(store: Store, make_model: MakeModel) -> None:
    stored, other = make_model("tiny"), make_model("other", ((WEIGHTS_TYPE, b"made"),))
    source = stored.manifest.of_type(WEIGHTS_TYPE)[0].digest
    shared = other.manifest.of_type(WEIGHTS_TYPE)[0]
    store.write_translation(source, [shared])
    store.delete_manifest(ModelName.parse("tiny"))
    store.prune(stored.manifest.digests)
    assert store.has_blob(shared.digest)
