"""Models that the disk has damaged can be seen, removed and made again."""

import hashlib

import pytest

from ollamapy.names import Digest, ModelName


@pytest.fixture
def weights(shared_models):
    return (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()


def post(daemon, path, body):
    return daemon.client.post(path, json=body)


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def upload(daemon, data):
    return daemon.client.post(f"/api/blobs/{digest_of(data)}", content=data)


def create(daemon, model, data):
    return post(daemon, "/api/create", {"model": model, "files": {"m.gguf": digest_of(data)}, "stream": False})


def blob_of(daemon, data):
    return daemon.store.open_blob(Digest.parse(digest_of(data)))


def manifest_of(daemon, model):
    name = ModelName.parse(model)
    return daemon.store.root / "manifests" / name.host / name.namespace / name.model / name.tag


def names(daemon):
    return [record["name"] for record in daemon.client.get("/api/tags").json()["models"]]


@pytest.fixture
def story(daemon, weights):
    """A model that is removed in the end, whatever became of it."""
    upload(daemon, weights)
    assert create(daemon, "story", weights).status_code == 200
    yield "story"
    daemon.client.request("DELETE", "/api/delete", json={"model": "story"})


def test_a_model_with_a_cut_blob_is_listed_and_can_be_removed(daemon, story, weights):
    blob_of(daemon, weights).write_bytes(weights[:1000])
    assert "story:latest" in names(daemon)
    refused = post(daemon, "/api/show", {"model": story})
    assert refused.status_code == 500
    assert "model 'story:latest' is damaged" in refused.json()["error"]
    assert daemon.client.request("DELETE", "/api/delete", json={"model": story}).status_code == 200
    assert "story:latest" not in names(daemon)


def test_a_model_with_a_malformed_manifest_is_listed_and_can_be_removed(daemon, story):
    manifest_of(daemon, story).write_bytes(b"{")
    assert "story:latest" in names(daemon)
    assert daemon.client.request("DELETE", "/api/delete", json={"model": story}).status_code == 200
    assert "story:latest" not in names(daemon)


def test_a_model_with_a_malformed_manifest_can_be_made_again(daemon, story, weights):
    manifest_of(daemon, story).write_bytes(b"{")
    upload(daemon, weights)
    assert create(daemon, story, weights).json() == {"status": "success"}


@pytest.mark.parametrize("cut", [0, 1000], ids=["empty", "truncated"])
def test_a_blob_of_another_size_is_uploaded_anew(daemon, story, weights, cut):
    blob_of(daemon, weights).write_bytes(weights[:cut])
    assert daemon.client.head(f"/api/blobs/{digest_of(weights)}").status_code == 404
    assert upload(daemon, weights).status_code == 201
    assert blob_of(daemon, weights).read_bytes() == weights
    assert create(daemon, story, weights).json() == {"status": "success"}
    assert post(daemon, "/api/show", {"model": story}).status_code == 200


def test_a_blob_of_the_right_size_and_wrong_content_is_replaced_by_an_upload(daemon, story, weights):
    blob_of(daemon, weights).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert upload(daemon, weights).status_code == 201
    assert blob_of(daemon, weights).read_bytes() == weights


def test_the_damaged_blob_is_blamed_and_not_the_file(daemon, story, weights):
    blob_of(daemon, weights).write_bytes(b"JUNK" + weights[4:])
    refused = create(daemon, "other", weights)
    assert refused.status_code == 500
    assert f"the blob {digest_of(weights)} was damaged" in refused.json()["error"]
    assert "m.gguf again" in refused.json()["error"]
    assert daemon.client.head(f"/api/blobs/{digest_of(weights)}").status_code == 404


def test_a_model_whose_weights_are_malformed_is_named_with_the_remedy(daemon, story, weights):
    blob_of(daemon, weights).write_bytes(b"JUNK" + weights[4:])
    error = post(daemon, "/api/show", {"model": story}).json()["error"]
    assert "model 'story:latest' is damaged" in error
    assert "ollamapy rm" in error


def test_a_refused_file_does_not_stay_in_the_store(daemon):
    data = b"GGUF but nothing of a model"
    upload(daemon, data)
    assert create(daemon, "junk", data).status_code == 400
    assert not daemon.store.has_blob(Digest.parse(digest_of(data)))
