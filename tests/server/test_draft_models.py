"""Draft models, from the Modelfile to the counts in the answer."""

from __future__ import annotations

import pytest

from ollamapy.names import ModelName
from ollamapy.store import DRAFT_TYPE, WEIGHTS_TYPE
from tests import gguf_builder as gb
from tests.server.conftest import running
from tests.server.test_split_models import PROJECTOR, create, upload

ASK = {"prompt": "Once upon a time", "raw": True, "stream": False, "options": {"temperature": 0, "num_predict": 60}}


@pytest.fixture(scope="module")
def stories(shared_models):
    """A model and a smaller one of the same words, by the names of their files."""
    names = {"large.gguf": "stories260K-f32.gguf", "small.gguf": "stories260K-q4_0.gguf"}
    return {name: (shared_models / "gguf" / file).read_bytes() for name, file in names.items()}


def make(daemon, name, stories, **fields):
    digests = upload(daemon, stories)
    large, small = {"large.gguf": digests["large.gguf"]}, {"small.gguf": digests["small.gguf"]}
    return digests, create(daemon, name, large, draft_files=small, **fields)


@pytest.mark.model
def test_a_draft_model_changes_no_answer_and_its_guesses_are_counted(tmp_path, stories):
    with running(tmp_path) as daemon:
        digests, created = make(daemon, "drafted", stories)
        assert created == (200, {"status": "success"})
        assert create(daemon, "alone", {"large.gguf": digests["large.gguf"]})[0] == 200
        alone = daemon.client.post("/api/generate", json={**ASK, "model": "alone"}).json()
        drafted = daemon.client.post("/api/generate", json={**ASK, "model": "drafted"}).json()
        assert drafted["response"] == alone["response"]
        assert drafted["eval_count"] == alone["eval_count"] == 60
        assert 1 <= drafted["accepted_tokens"] <= drafted["draft_tokens"]
        loaded = {line["name"]: line for line in daemon.client.get("/api/ps").json()["models"]}
        line = loaded["drafted:latest"]
        counts = ("draft_tokens", "accepted_tokens")
        assert [line[key] for key in counts] == [drafted[key] for key in counts]


@pytest.mark.model
def test_openai_usage_tells_what_came_of_the_guesses(tmp_path, stories):
    with running(tmp_path) as daemon:
        make(daemon, "drafted", stories)
        body = {"model": "drafted", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 60}
        details = daemon.client.post("/v1/completions", json=body).json()["usage"]["completion_tokens_details"]
        assert details["accepted_prediction_tokens"] >= 1
        assert details["rejected_prediction_tokens"] >= 0


@pytest.mark.model
@pytest.mark.parametrize(("speculative", "options"), [(False, {}), (True, {"draft_num_predict": 0})])
def test_guessing_can_be_switched_off(tmp_path, stories, speculative, options):
    with running(tmp_path, speculative=speculative) as daemon:
        make(daemon, "drafted", stories)
        ask = {**ASK, "options": {**ASK["options"], **options}, "model": "drafted"}
        answer = daemon.client.post("/api/generate", json=ask).json()
        assert "little girl" in answer["response"]
        assert "draft_tokens" not in answer


def test_a_draft_is_a_layer_that_is_shown_and_inherited(daemon, stories):
    digests, created = make(daemon, "first", stories)
    assert created[0] == 200
    assert create(daemon, "second", None, **{"from": "first", "system": "Hi"})[0] == 200
    for name in ("first", "second"):
        manifest = daemon.store.read_manifest(ModelName.parse(name)).manifest
        kinds = {layer.media_type: str(layer.digest) for layer in manifest.layers}
        assert (kinds[WEIGHTS_TYPE], kinds[DRAFT_TYPE]) == (digests["large.gguf"], digests["small.gguf"])
        modelfile = daemon.client.post("/api/show", json={"model": name}).json()["modelfile"]
        assert f"\nDRAFT {daemon.store.open_blob(manifest.of_type(DRAFT_TYPE)[0].digest)}\n" in modelfile


def test_a_model_that_is_here_can_be_given_a_draft(daemon, stories):
    digests = upload(daemon, stories)
    assert create(daemon, "plain", {"large.gguf": digests["large.gguf"]})[0] == 200
    small = {"small.gguf": digests["small.gguf"]}
    assert create(daemon, "hastened", None, **{"from": "plain", "draft_files": small})[0] == 200
    manifest = daemon.store.read_manifest(ModelName.parse("hastened")).manifest
    assert [str(layer.digest) for layer in manifest.of_type(DRAFT_TYPE)] == [digests["small.gguf"]]


def test_a_draft_with_other_words_is_refused(daemon, stories, shared_models):
    other = {"other.gguf": (shared_models / "gguf" / "babyllama361-f16.gguf").read_bytes()}
    large = upload(daemon, {"large.gguf": stories["large.gguf"]})
    status, answer = create(daemon, "misfit", large, draft_files=upload(daemon, other))
    assert status == 400
    assert answer["error"] == (
        "the draft model other.gguf has another vocabulary than the model: 361 tokens instead of 512; "
        "use a smaller model of the same family"
    )


def test_what_is_no_model_is_no_draft(daemon, stories):
    large = upload(daemon, {"large.gguf": stories["large.gguf"]})
    status, answer = create(daemon, "misfit", large, draft_files=upload(daemon, {"mmproj.gguf": PROJECTOR}))
    assert (status, answer["error"]) == (
        400, "mmproj.gguf can't be a draft model; give one whole model that generates text",
    )  # fmt: skip


def test_one_draft_is_enough(daemon, stories):
    files = upload(daemon, {**stories, "tiny.gguf": gb.model()})
    drafts = {name: files[name] for name in ("small.gguf", "tiny.gguf")}
    status, answer = create(daemon, "two", {"large.gguf": files["large.gguf"]}, draft_files=drafts)
    assert (status, answer["error"]) == (400, "draft_files: give one file; a draft model can't be split")


def test_a_draft_to_quantize_must_be_there(daemon):
    status, answer = create(daemon, "new", None, **{"from": "wren", "draft_quantize": "q4_0"})
    assert (status, answer["error"]) == (400, "--draft-quantize requires a DRAFT model")


def test_a_damaged_draft_is_refused(daemon, stories):
    files = upload(daemon, {"large.gguf": stories["large.gguf"], "cut.gguf": stories["small.gguf"][:-100]})
    status, answer = create(
        daemon, "cut", {"large.gguf": files["large.gguf"]}, draft_files={"cut.gguf": files["cut.gguf"]}
    )
    assert status == 400
    assert answer["error"].startswith("cut.gguf: truncated GGUF")
