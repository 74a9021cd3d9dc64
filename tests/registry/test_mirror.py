"""A mirror that fails, and the registry behind it that is asked then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from ollamapy.config import Registry
from ollamapy.errors import (
    RegistryError,
    RegistryUnavailableError,
    RemoteNotFoundError,
    TransferError,
    UnauthorizedError,
)
from ollamapy.names import Digest
from tests.fakes.registry import FakeRegistry, Puller, digest_of, fake_registry

WEIGHTS = os.urandom(700_000)


@pytest.fixture
def mirror() -> Iterator[FakeRegistry]:
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    with fake_registry() as registry:
        registry.add("me/tiny:latest", WEIGHTS)
        yield registry


def puller_of(folder: Path, mirror: FakeRegistry, upstream: FakeRegistry, **fields: str) -> Puller:
    return Puller(folder, Registry(upstream.host, mirror.base_url, upstream=upstream.base_url, **fields))


def gone() -> FakeRegistry:
    """A registry that nobody can connect to any more."""
    with fake_registry() as registry:
        return registry


def answer_all(registry: FakeRegistry, status: int, part: str = "/") -> None:
    def bend(request: object, answer: Response) -> Response:
        return JSONResponse({}, status) if part in request.url.path else answer  # type: ignore[attr-defined]

    registry.bend = bend


def test_a_mirror_that_has_the_model_is_asked_alone(tmp_path, mirror, upstream):
    mirror.add("me/tiny:latest", WEIGHTS)
    steps = puller_of(tmp_path, mirror, upstream).pull(f"{upstream.host}/me/tiny")
    assert [step.status for step in steps if "mirror" in step.status] == []
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("status", "told"), [(503, "answered with HTTP status 503"), (404, "does not have the model")], ids=["503", "404"]
)
def test_the_registry_is_asked_for_what_its_mirror_can_not_give_and_the_user_is_told(
    tmp_path, mirror, upstream, status, told
):
    answer_all(mirror, status)
    puller = puller_of(tmp_path, mirror, upstream)
    steps = puller.pull(f"{upstream.host}/me/tiny")
    assert steps[-1].status == "success"
    (note,) = (step.status for step in steps if "mirror" in step.status)
    assert note.startswith(f"the mirror {mirror.host} fails: ")
    assert told in note
    assert note.endswith(f"; asking {upstream.host}")
    assert puller.store.open_blob(Digest.parse(digest_of(WEIGHTS))).read_bytes() == WEIGHTS


def test_the_registry_is_asked_where_its_mirror_can_not_be_reached(tmp_path, upstream):
    mirror = gone()
    steps = puller_of(tmp_path, mirror, upstream).pull(f"{upstream.host}/me/tiny")
    told = f"the mirror {mirror.host} fails: could not connect to 127.0.0.1; asking {upstream.host}"
    assert told in [step.status for step in steps]


@pytest.mark.parametrize("status", [404, 503])
def test_a_blob_that_the_mirror_lacks_comes_from_the_registry(tmp_path, mirror, upstream, status):
    mirror.add("me/tiny:latest", WEIGHTS)
    answer_all(mirror, status, "/blobs/")
    puller = puller_of(tmp_path, mirror, upstream)
    assert puller.pull(f"{upstream.host}/me/tiny")[-1].status == "success"
    assert len(mirror.paths("/blobs/")) <= 8  # the parts that were asked for at once, and no later ones
    assert upstream.paths("/manifests/") == []


def test_the_registry_gets_none_of_the_credentials_of_its_mirror(tmp_path, mirror, upstream):
    answer_all(mirror, 404)
    puller = puller_of(tmp_path, mirror, upstream, token="of-the-mirror")
    answer_all(upstream, 401)
    with pytest.raises(UnauthorizedError):
        puller.pull(f"{upstream.host}/me/tiny")
    assert upstream.requests
    assert all("authorization" not in headers for _, _, headers in upstream.requests)


@pytest.mark.parametrize("status", [401, 403])
def test_a_mirror_that_refuses_the_credentials_is_not_passed_by(tmp_path, mirror, upstream, status):
    answer_all(mirror, status)
    with pytest.raises(UnauthorizedError):
        puller_of(tmp_path, mirror, upstream).pull(f"{upstream.host}/me/tiny")
    assert upstream.requests == []


def test_a_mirror_that_sends_another_content_is_not_passed_by(tmp_path, mirror, upstream):
    mirror.add("me/tiny:latest", WEIGHTS)
    mirror.blobs[digest_of(WEIGHTS)] = bytes(len(WEIGHTS))
    with pytest.raises(TransferError, match="digest mismatch"):
        puller_of(tmp_path, mirror, upstream).pull(f"{upstream.host}/me/tiny")
    assert upstream.requests == []


def test_a_failure_of_both_tells_of_both(tmp_path, upstream):
    answer_all(upstream, 503)
    with pytest.raises(RegistryUnavailableError, match=r"mirror .* could not connect .*; .* HTTP status 503"):
        puller_of(tmp_path, gone(), upstream).pull(f"{upstream.host}/me/tiny")
    answer_all(upstream, 404)
    with pytest.raises(RemoteNotFoundError, match=r"^pull model manifest: file does not exist$"):
        puller_of(tmp_path, gone(), upstream).pull(f"{upstream.host}/me/tiny")


def test_a_mirror_that_counts_alone_has_nobody_behind_it(tmp_path, mirror, upstream):
    with pytest.raises(RegistryError, match="file does not exist"):
        Puller(tmp_path, Registry(upstream.host, mirror.base_url)).pull(f"{upstream.host}/me/tiny")
    assert upstream.requests == []
