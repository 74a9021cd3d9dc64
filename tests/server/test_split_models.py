"""Models in several files, from the upload to the answer."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from ollamapy.names import ModelName
from ollamapy.store import PROJECTOR_TYPE, WEIGHTS_TYPE
from tests import gguf_builder as gb
from tests.server.conftest import running

ASK = {"prompt": "Once upon a time", "raw": True, "stream": False, "options": {"temperature": 0, "num_predict": 40}}
PROJECTOR = gb.build(
    [gb.text("general.architecture", "clip"), gb.number("clip.vision.block_count", 1)],
    [gb.tensor("v.patch_embd.weight", (32,))],
    bytes(128),
)


def upload(daemon, files):
    """Send files and return their digests by name."""
    digests = {}
    for name, data in files.items():
        digests[name] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert daemon.client.post(f"/api/blobs/{digests[name]}", content=data).status_code in (200, 201)
    return digests


def create(daemon, name, files, **fields):
    response = daemon.client.post("/api/create", json={"model": name, "files": files, "stream": False, **fields})
    return response.status_code, response.json()


@pytest.fixture(scope="module")
def parts(shared_models):
    """The files of a split model by name, in order."""
    return {path.name: path.read_bytes() for path in sorted((shared_models / "gguf" / "split").glob("*.gguf"))}


@pytest.mark.model
def test_a_split_model_answers_as_the_whole_one(tmp_path, shared_models, parts):
    with running(tmp_path) as daemon:
        digests = upload(daemon, dict(reversed(parts.items())))
        assert create(daemon, "split", digests) == (200, {"status": "success"})
        whole = upload(daemon, {"whole.gguf": (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()})
        assert create(daemon, "whole", whole) == (200, {"status": "success"})
        texts = [daemon.client.post("/api/generate", json={**ASK, "model": m}).json() for m in ("split", "whole")]
        assert texts[0]["response"] == texts[1]["response"]
        assert "little girl" in texts[0]["response"]
        names = {line["name"] for line in daemon.client.get("/api/ps").json()["models"]}
        assert names == {"split:latest", "whole:latest"}


def test_every_part_is_a_layer_in_its_place(daemon, parts):
    digests = upload(daemon, parts)
    assert create(daemon, "layers", dict(reversed(digests.items())))[0] == 200
    manifest = daemon.store.read_manifest(ModelName.parse("layers")).manifest
    assert [str(layer.digest) for layer in manifest.of_type(WEIGHTS_TYPE)] == list(digests.values())
    listed = {line["name"]: line for line in daemon.client.get("/api/tags").json()["models"]}
    assert listed["layers:latest"]["size"] > sum(map(len, parts.values()))
    assert listed["layers:latest"]["details"]["parameter_size"] == "260K"
    shown = daemon.client.post("/api/show", json={"model": "layers"}).json()
    assert len(shown["tensors"]) == 47
    assert shown["model_info"]["general.parameter_count"] == 260_032
    sources = [line.removeprefix("FROM ") for line in shown["modelfile"].splitlines() if line.startswith("FROM ")]
    assert [source.rpartition("-")[2] for source in sources] == [d.removeprefix("sha256:") for d in digests.values()]


def test_a_split_model_is_copied_and_deleted_as_a_whole(daemon, parts):
    digests = upload(daemon, parts)
    assert create(daemon, "first", digests)[0] == 200
    assert create(daemon, "second", None, **{"from": "first"})[0] == 200
    assert daemon.client.post("/api/copy", json={"source": "first", "destination": "third"}).status_code == 200
    for name in ("first", "second", "layers"):
        daemon.client.request("DELETE", "/api/delete", json={"model": name})
    assert all(daemon.client.head(f"/api/blobs/{digest}").status_code == 200 for digest in digests.values())
    daemon.client.request("DELETE", "/api/delete", json={"model": "third"})
    assert [daemon.client.head(f"/api/blobs/{digest}").status_code for digest in digests.values()] == [404] * 3


@pytest.mark.parametrize("some", [[0], [1], [0, 2], [1, 2]])
def test_a_model_that_lacks_a_part_is_refused(daemon, parts, some):
    chosen = dict(list(parts.items())[index] for index in some)
    status, answer = create(daemon, "lacking", upload(daemon, chosen))
    assert status == 400
    told = ", ".join(str(index + 1) for index in some)
    assert f"the model is split into 3 files, but those here are the parts {told};" in answer["error"]


def test_parts_of_two_models_are_refused(daemon, parts):
    files = dict(itertools.islice(parts.items(), 2))
    status, answer = create(daemon, "mixed", upload(daemon, {**files, "whole.gguf": gb.model()}))
    assert status == 400
    assert answer["error"].startswith("several files are models: ")
    assert all(name in answer["error"] for name in (*files, "whole.gguf", "give one"))


def test_a_projector_gives_a_model_sight(daemon):
    digests = upload(daemon, {"tiny.gguf": gb.model(), "mmproj-tiny.gguf": PROJECTOR})
    assert create(daemon, "seeing", digests)[0] == 200
    manifest = daemon.store.read_manifest(ModelName.parse("seeing")).manifest
    assert [layer.media_type for layer in manifest.layers] == [WEIGHTS_TYPE, PROJECTOR_TYPE]
    shown = daemon.client.post("/api/show", json={"model": "seeing"}).json()
    assert "vision" in shown["capabilities"]
    assert shown["projector_info"]["clip.vision.block_count"] == 1


def test_a_model_that_is_here_can_be_given_a_projector(daemon):
    assert create(daemon, "blind", upload(daemon, {"tiny.gguf": gb.model()}))[0] == 200
    projector = upload(daemon, {"mmproj.gguf": PROJECTOR})
    assert create(daemon, "sighted", projector, **{"from": "blind"})[0] == 200
    assert "vision" in daemon.client.post("/api/show", json={"model": "sighted"}).json()["capabilities"]


def test_a_second_model_beside_a_base_is_refused(daemon):
    digests = upload(daemon, {"tiny.gguf": gb.model([gb.text("general.author", "x")])})
    status, answer = create(daemon, "two", digests, **{"from": "wren"})
    assert (status, answer["error"]) == (
        400, "tiny.gguf is no projector, and FROM names a model already; remove one",
    )  # fmt: skip


def test_one_projector_is_enough(daemon):
    other = PROJECTOR[:-1] + b"\1"
    status, answer = create(daemon, "two", upload(daemon, {"t.gguf": gb.model(), "a.gguf": PROJECTOR, "b.gguf": other}))
    assert (status, answer["error"]) == (400, "only one projector can be used; leave one of a.gguf, b.gguf")
