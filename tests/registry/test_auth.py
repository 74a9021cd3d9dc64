"""Challenges, and where tokens are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import TransferError, UnauthorizedError
from ollamapy.registry.auth import Challenge, basic, parse_challenge, parse_token, token_url

SCOPE = "repository:a/b:pull"


def test_a_bearer_challenge():
    header = 'Bearer realm="https://r/t?x=1",service="s\\"1", scope="repository:a/b:pull,push",error=x'
    assert parse_challenge(header) == Challenge("bearer", "https://r/t?x=1", 's"1', "repository:a/b:pull,push")


@pytest.mark.parametrize("header", ["", "Bearer", "Negotiate abc", "Digest realm=x", "a=b"])
def test_challenges_that_nobody_can_answer(header):
    assert parse_challenge(header) is None


@given(st.text())
def test_any_header_is_read_or_not(text):
    parse_challenge(text)
    parse_challenge("Bearer " + text)


def test_the_url_of_a_token_names_service_and_scopes():
    challenge = Challenge("bearer", "https://r/t?x=1", "s", "a b")
    assert token_url(challenge, "https://r", "", SCOPE) == "https://r/t?x=1&service=s&scope=a&scope=b"
    assert token_url(Challenge("bearer", "https://r/t"), "https://r", "", SCOPE).endswith(
        "scope=repository%3Aa%2Fb%3Apull"
    )


@pytest.mark.parametrize(
    ("realm", "registry", "auth_host"),
    [
        ("https://other/t", "https://r", ""),
        ("http://r/t", "https://r", ""),
        ("http://r:443/t", "https://r", ""),
        ("https://r:444/t", "https://r", ""),
        ("https://r.evil/t", "https://r", ""),
        ("https://r@evil/t", "https://r", ""),
        ("https://r/t", "https://r", "auth"),
        ("http://auth/t", "https://r", "auth"),
        ("", "https://r", ""),
    ],
)
def test_realms_that_are_refused(realm, registry, auth_host):
    with pytest.raises(TransferError):
        token_url(Challenge("bearer", realm), registry, auth_host, SCOPE)


def test_a_realm_on_a_configured_host_is_fine():
    url = token_url(Challenge("bearer", "https://auth:8443/t"), "https://r", "AUTH:8443", SCOPE)
    assert url.startswith("https://auth:8443/t?")


def test_tokens_by_either_name():
    assert parse_token(b'{"token":"a"}').value == "a"
    token = parse_token(b'{"access_token":"b","expires_in":"100","issued_at":"x"}')
    assert (token.value, token.lifetime_seconds) == ("b", 90)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token":5}', b'{"token":"a\\nb"}', b"\xff", b"[" * 10_000])
def test_answers_without_a_token(body):
    with pytest.raises(UnauthorizedError):
        parse_token(body)


def test_basic_credentials():
    assert basic("me", "pä") == "Basic bWU6cMOk"
    assert basic("", "x") == ""
