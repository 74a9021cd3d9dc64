"""What is kept of a model's prompts on the disk goes with the model."""

import hashlib
from contextlib import contextmanager

from tests.server.conftest import running

ASK = {"prompt": "Once upon a time there was a little girl who lived in a big house", "raw": True, "stream": False}


def create(daemon, weights):
    digest = f"sha256:{hashlib.sha256(weights).hexdigest()}"
    daemon.client.post(f"/api/blobs/{digest}", content=weights).raise_for_status()
    made = {"model": "story", "files": {"m.gguf": digest}, "stream": False}
    daemon.client.post("/api/create", json=made).raise_for_status()


@contextmanager
def daemon_with_story(folder, weights):
    with running(folder, state_bytes=1 << 26) as daemon:
        create(daemon, weights)
        ask = {**ASK, "model": "story", "options": {"num_predict": 8}}
        daemon.client.post("/api/generate", json=ask).raise_for_status()
        yield daemon


def unload(daemon):
    daemon.client.post("/api/generate", json={"model": "story", "keep_alive": 0}).raise_for_status()


def delete(daemon, model):
    daemon.client.request("DELETE", "/api/delete", json={"model": model}).raise_for_status()


def kept(folder):
    return [*(folder / "state").glob("*.state")]


def test_kept_prompts_go_with_the_last_name_of_their_model(tmp_path, shared_models):
    weights = (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()
    with daemon_with_story(tmp_path, weights) as daemon:
        daemon.client.post("/api/copy", json={"source": "story", "destination": "copy"}).raise_for_status()
        unload(daemon)
        (path,) = kept(tmp_path)
        delete(daemon, "story")
        assert path.exists()
        delete(daemon, "copy")
        assert not path.exists()


def test_kept_prompts_go_with_weights_that_others_replace(tmp_path, shared_models):
    weights, others = ((shared_models / "gguf" / f"stories260K-{kind}.gguf").read_bytes() for kind in ("f32", "q4_0"))
    with daemon_with_story(tmp_path, weights) as daemon:
        unload(daemon)
        (path,) = kept(tmp_path)
        create(daemon, others)
        assert not path.exists()


def test_a_model_that_is_deleted_and_made_again_while_it_is_loaded_leaves_no_prompts(tmp_path, shared_models):
    weights = (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()
    with daemon_with_story(tmp_path, weights) as daemon:
        delete(daemon, "story")
        create(daemon, weights)
        unload(daemon)
    assert kept(tmp_path) == []


def test_a_model_that_is_deleted_while_it_is_loaded_leaves_no_prompts(tmp_path, shared_models):
    weights = (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()
    with daemon_with_story(tmp_path, weights) as daemon:
        delete(daemon, "story")
    assert kept(tmp_path) == []
