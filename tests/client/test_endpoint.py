"""Where requests go and with which headers."""

from __future__ import annotations

import pytest

from ollamapy.client import Client, calls
from ollamapy.client.endpoint import PROBE_SECONDS, make_endpoint
from ollamapy.errors import InvalidInputError
from ollamapy.version import __version__


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "http://127.0.0.1:11434"), ("", "http://127.0.0.1:11434"), (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"), ("https://models.example/ai/", "https://models.example:443/ai"),
        ("[::1]:80", "http://[::1]:80"),
    ],
)  # fmt: skip
def test_a_host_has_any_form_that_the_setting_has(host: str | None, url: str) -> None:
    endpoint = make_endpoint(host, None, None)
    assert endpoint.base_url == url
    assert endpoint.url(calls.version()) == f"{url}/api/version"
    assert make_endpoint(url, None, None) == endpoint


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="ftp"):
        make_endpoint("ftp://x", None, None)


def test_the_key_and_our_name_are_sent() -> None:
    headers = dict(make_endpoint(None, "secret", None).headers(calls.unload("x")))
    assert headers["Authorization"] == "Bearer secret"
    assert headers["User-Agent"] == f"ollamapy/{__version__}"
    assert headers["Content-Type"] == "application/json"


def test_a_probe_is_bounded_also_where_requests_are_not() -> None:
    def read_limits(timeout_seconds: float | None) -> list[float | None]:
        endpoint = make_endpoint(None, None, timeout_seconds)
        return [endpoint.extensions(is_probe=is_probe)["timeout"]["read"] for is_probe in (False, True)]

    assert read_limits(None) == [None, PROBE_SECONDS]
    assert read_limits(100) == [100, PROBE_SECONDS]
    assert read_limits(0.5) == [0.5, 0.5]


def test_the_key_is_not_shown() -> None:
    with Client("localhost:1", "secret") as client:
        assert repr(client) == "<Client http://localhost:1>"
