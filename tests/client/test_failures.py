"""Statuses and error bodies become errors of ours, in the server's words."""

from __future__ import annotations

import msgspec
import pytest

from ollamapy.client import calls
from ollamapy.client.calls import Call
from ollamapy.client.failures import failure, presence, stream_failure
from ollamapy.dialects.native import ERROR_KINDS
from ollamapy.errors import (
    BlobNotFoundError,
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    OllamapyError,
    RunnerError,
    ServiceError,
)

SHOW = calls.show("wren", verbose=False)
UNLOAD = calls.unload("wren")
BLOB = calls.has_blob("sha256:" + "a" * 64)


@pytest.mark.parametrize(
    ("status", "call", "kind"),
    [
        (400, SHOW, InvalidInputError), (401, SHOW, ForbiddenError), (403, SHOW, ForbiddenError),
        (404, SHOW, ModelNotFoundError), (404, BLOB, BlobNotFoundError), (404, calls.version(), NotFoundError),
        (413, SHOW, InvalidInputError), (429, SHOW, CapacityError), (503, UNLOAD, CapacityError),
        (507, BLOB, CapacityError), (500, UNLOAD, RunnerError), (500, SHOW, ServiceError),
    ],
)  # fmt: skip
def test_each_status_has_its_kind_of_error_with_the_servers_words(
    status: int, call: Call, kind: type[OllamapyError]
) -> None:
    error = failure(status, b'{"error":"because of this"}', call)
    assert type(error) is kind
    assert error.message == "because of this"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":3}', b"404 page not found"])
def test_a_body_without_words_is_replaced_by_what_was_asked(body: bytes) -> None:
    assert "POST /api/show" in failure(404, body, SHOW).message
    assert "status 500" in failure(500, body, SHOW).message


def test_an_error_in_a_stream_is_the_workers_only_where_one_was_at_work() -> None:
    assert type(stream_failure("x", "", UNLOAD)) is RunnerError
    assert type(stream_failure("x", "", Call("POST", "/api/create"))) is ServiceError


@pytest.mark.parametrize("kind", [*ERROR_KINDS, "unheard_of"])
def test_where_the_server_tells_the_kind_it_is_believed(kind: str) -> None:
    body = msgspec.json.encode({"error": "because of this", "kind": kind})
    assert type(failure(500, body, SHOW)) is ERROR_KINDS.get(kind, ServiceError)
    error = stream_failure("because of this", kind, SHOW)
    assert type(error) is ERROR_KINDS.get(kind, ServiceError)
    assert error.message == "because of this"


@pytest.mark.parametrize(
    ("status", "body", "who"),
    [
        (200, b'{"version":"0.33.0"}', "running"), (401, b'{"error":"no"}', "running"), (403, b"", "running"),
        (200, b"<html>", "foreign"), (200, b"{}", "foreign"), (404, b"", "foreign"),
        (500, b'{"version":"1"}', "foreign"),
    ],
)  # fmt: skip
def test_only_a_server_that_tells_its_version_or_asks_for_a_key_is_taken_for_a_daemon(
    status: int, body: bytes, who: str
) -> None:
    assert presence(status, body) == who
