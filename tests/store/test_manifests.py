from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from ollamapy.errors import BlobNotFoundError, ManifestError, ModelNotFoundError, StoreError
from ollamapy.names import Digest, ModelName
from ollamapy.store import CONFIG_TYPE, Layer, Manifest, Store
from ollamapy.store.manifests import MAX_MANIFEST_BYTES, encode_manifest, parse_manifest
from tests.store.conftest import MakeModel, tree

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"
TINY = "registry.ollama.ai/library/tiny"


def manifest_json(**changes: object) -> bytes:
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'b' * 64}", "size": 7}
    fields = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": CONFIG_TYPE, "digest": DIGEST, "size": 5},
        "layers": [layer],
    }
    return json.dumps(fields | changes, separators=(",", ":")).encode()


def test_writes_the_bytes_that_ollama_writes() -> None:
    manifest = Manifest(
        Layer(CONFIG_TYPE, Digest(HEX), 5),
        (
            Layer("application/vnd.ollama.image.model", Digest("b" * 64), 7),
            Layer("application/vnd.ollama.image.tensor", Digest("c" * 64), 0, "library/x", "a<b"),
        ),
    )
    assert encode_manifest(manifest) == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        b'"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:' + b"a" * 64 + b'",'
        b'"size":5},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:' + b"b" * 64 + b'",'
        b'"size":7},{"mediaType":"application/vnd.ollama.image.tensor","digest":"sha256:' + b"c" * 64 + b'","size":0,'
        b'"from":"library/x","name":"a\\u003cb"}]}\n'
    )
    assert parse_manifest(encode_manifest(manifest)) == manifest
    assert manifest.size == 12
    assert manifest.digests == (Digest("b" * 64), Digest("c" * 64), Digest(HEX))


BAD_MANIFESTS = {
    "empty": b"",
    "HTML": b"<html></html>",
    "a list": b"[]",
    "null": b"null",
    "cut": manifest_json()[:-10],
    "not UTF-8": manifest_json().replace(b"model", b"m\xffdel"),
    "deep": b'{"config":' + b"[" * 100_000,
    "no config": json.dumps({"layers": []}).encode(),
    "config null": manifest_json(config=None),
    "config without digest": manifest_json(config={"size": 1}),
    "layers a text": manifest_json(layers="x"),
    "a layer is null": manifest_json(layers=[None]),
    "a million layers": manifest_json(layers=[{"digest": DIGEST, "size": 5}] * 20_000),
    "size negative": manifest_json(layers=[{"digest": DIGEST, "size": -1}]),
    "size a fraction": manifest_json(layers=[{"digest": DIGEST, "size": 1.5}]),
    "size huge": manifest_json(layers=[{"digest": DIGEST, "size": 2**63}]),
    "size a text": manifest_json(layers=[{"digest": DIGEST, "size": "5"}]),
    "one digest, two sizes": manifest_json(layers=[{"digest": DIGEST, "size": 6}]),
    "list of manifests": manifest_json(mediaType="application/vnd.ollama.manifest.list.v2+json"),
}
BAD_DIGESTS = [
    "sha256:../../../../tmp/x",
    "../x",
    DIGEST[:-1],
    DIGEST + "0",
    DIGEST.upper(),
    "",
    None,
    5,
    DIGEST + "\n",
]


@pytest.mark.parametrize("data", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
def test_t12_refuses_malformed_manifests(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(data)


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("place", ["config", "layers"])
def test_t10_refuses_bad_digests_in_every_place(digest: object, place: str) -> None:
    layer = {"mediaType": "x", "digest": digest, "size": 5}
    with pytest.raises(ManifestError):
        parse_manifest(manifest_json(**{place: layer if place == "config" else [layer]}))


def test_unknown_fields_and_missing_layers_are_no_error() -> None:
    manifest = parse_manifest(manifest_json(layers=None, runner="x"))
    assert manifest.layers == ()


def test_a_manifest_lies_in_ollamas_place(store: Store, make_model: MakeModel) -> None:
    stored = make_model("hf.co/bird/wren:1b")
    path = store.root / "manifests" / "hf.co" / "bird" / "wren" / "1b"
    assert Digest.of(path.read_bytes()) == stored.digest
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.read_manifest(stored.name) == stored
    assert stored.modified_at == path.stat().st_mtime


@pytest.mark.parametrize("asked", ["tiny", "TINY", "Tiny:LATEST", "Registry.Ollama.AI/Library/tiny"])
def test_names_are_found_whatever_their_case(asked: str, store: Store, make_model: MakeModel) -> None:
    make_model("Tiny")
    assert str(store.read_manifest(ModelName.parse(asked)).name) == "Tiny:latest"


def test_the_exact_case_wins(store: Store, make_model: MakeModel) -> None:
    first = make_model("tiny")
    os.renames(store.root / "manifests" / TINY / "latest", store.root / "manifests" / f"{TINY[:-4]}TINY" / "latest")
    path = store.root / "manifests" / TINY / "latest"
    path.parent.mkdir()
    path.write_bytes(encode_manifest(first.manifest))
    for name in ("tiny", "TINY"):
        assert str(store.read_manifest(ModelName.parse(name)).name) == f"{name}:latest"
    path.unlink()
    assert str(store.read_manifest(ModelName.parse("tiny")).name) == "TINY:latest"


def test_writing_under_another_case_replaces_the_model(store: Store, make_model: MakeModel) -> None:
    make_model("Tiny")
    again = make_model("tINY", layers=())
    assert str(again.name) == "Tiny:latest"
    assert [stored.digest for stored in store.list_manifests()] == [again.digest]


def test_a_missing_model_is_named_in_the_error(store: Store, make_model: MakeModel) -> None:
    for _ in range(2):
        for ask in (store.read_manifest, store.delete_manifest):
            with pytest.raises(ModelNotFoundError, match="model 'wren:latest' not found"):
                ask(ModelName.parse("wren"))
        make_model("other")


def test_lists_the_newest_first_and_skips_what_is_corrupt(
    store: Store, make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    for age, name in enumerate(("b", "x/a:1", "hf.co/u/c")):
        stored = make_model(name).name
        path = store.root / "manifests" / stored.host / stored.namespace / stored.model / stored.tag
        os.utime(path, (100 - age, 100 - age))
    make_model("bad")
    (store.root / "manifests" / "registry.ollama.ai" / "library" / "bad" / "latest").write_bytes(b"{")
    (store.root / "manifests" / ".DS_Store").write_bytes(b"")
    (store.root / "manifests" / "registry.ollama.ai" / "library" / "b" / ".hidden").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert [str(stored.name) for stored in store.list_manifests()] == ["b:latest", "x/a:1", "hf.co/u/c:latest"]
    assert "bad:latest" in caplog.text


def test_an_empty_store_lists_nothing_and_is_not_created(store: Store) -> None:
    assert store.list_manifests() == []
    assert not store.root.exists()


def test_a_manifest_without_its_blobs_is_not_written(store: Store) -> None:
    manifest = Manifest(Layer(CONFIG_TYPE, Digest(HEX), 5), ())
    with pytest.raises(BlobNotFoundError):
        store.write_manifest(ModelName.parse("tiny"), manifest)
    assert tree(store.root) == set()


def test_a_copy_has_the_same_bytes(store: Store, make_model: MakeModel) -> None:
    source = make_model("tiny")
    path = store.root / "manifests" / TINY / "latest"
    path.write_bytes(path.read_bytes().replace(b'{"schemaVersion"', b'{ "runner":"ollama", "schemaVersion"'))
    copy = store.copy_manifest(source.name, ModelName.parse("bird/copy:2"))
    assert str(copy.name) == "bird/copy:2"
    assert (store.root / "manifests/registry.ollama.ai/bird/copy/2").read_bytes() == path.read_bytes()
    with pytest.raises(ModelNotFoundError):
        store.copy_manifest(ModelName.parse("missing"), ModelName.parse("bird/copy:3"))


def test_deleting_removes_empty_folders_and_nothing_else(store: Store, make_model: MakeModel) -> None:
    make_model("tiny:1")
    make_model("tiny:2")
    make_model("other")
    before = tree(store.root / "blobs")
    store.delete_manifest(ModelName.parse("TINY:1"))
    assert tree(store.root / "manifests") == {f"{TINY}/2", "registry.ollama.ai/library/other/latest"}
    store.delete_manifest(ModelName.parse("tiny:2"))
    assert not (store.root / "manifests" / TINY).exists()
    store.delete_manifest(ModelName.parse("other"))
    assert list((store.root / "manifests").iterdir()) == []
    assert tree(store.root / "blobs") == before


def test_t21_links_among_the_manifests_are_not_followed(store: Store, make_model: MakeModel, tmp_path: Path) -> None:
    stored = make_model("tiny")
    victim = tmp_path / "victim"
    victim.write_bytes(encode_manifest(stored.manifest))
    (store.root / "manifests" / TINY / "planted").symlink_to(victim)
    (store.root / "manifests" / "evil.example").symlink_to(store.root / "manifests" / "registry.ollama.ai")
    for name in ("tiny:planted", "evil.example/library/tiny"):
        with pytest.raises(ModelNotFoundError):
            store.read_manifest(ModelName.parse(name))
        with pytest.raises(ModelNotFoundError):
            store.delete_manifest(ModelName.parse(name))
    assert len(store.list_manifests()) == 1
    content = victim.read_bytes()
    store.copy_manifest(stored.name, ModelName.parse("tiny:planted"))
    assert not (store.root / "manifests" / TINY / "planted").is_symlink()
    with pytest.raises(StoreError, match="symbolic link"):
        store.copy_manifest(stored.name, ModelName.parse("evil.example/library/x"))
    assert victim.read_bytes() == content


def test_a_corrupt_or_huge_manifest_is_an_error_when_asked_for(store: Store, make_model: MakeModel) -> None:
    name = make_model("tiny").name
    path = store.root / "manifests" / TINY / "latest"
    path.write_bytes(b"{}")
    with pytest.raises(ManifestError, match="create or pull the model again"):
        store.read_manifest(name)
    os.truncate(path, MAX_MANIFEST_BYTES + 1)
    with pytest.raises(StoreError):
        store.read_manifest(name)
