"""Reads a registry's challenge and decides what may be sent where: pure.

Source: the distribution project's token authentication, and RFC 7617 for basic authentication.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from ollamapy.errors import TransferError, UnauthorizedError
from ollamapy.registry.address import origin

DENIED = "unauthorized: access denied"
DEFAULT_TOKEN_SECONDS = 60.0
_SCHEME = re.compile(r"\s*([A-Za-z]+)\s+")
_PARAMETER = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
MAX_CHALLENGE_CHARS = 8192
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for: `bearer` tokens from a realm, or a `basic` user and password."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token that is good for a number of seconds from when it was asked for."""

    value: str
    lifetime_seconds: float


class _TokenAnswer(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = DEFAULT_TOKEN_SECONDS


def parse_challenge(header: str) -> Challenge | None:
    """Read a WWW-Authenticate header; None for one that can't be answered."""
    match = _SCHEME.match(header[:MAX_CHALLENGE_CHARS])
    if match is None or match[1].lower() not in ("bearer", "basic"):
        return None
    parameters = {
        found[1].lower(): re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        for found in _PARAMETER.finditer(header[:MAX_CHALLENGE_CHARS], match.end())
    }
    return Challenge(
        match[1].lower(), parameters.get("realm", ""), parameters.get("service", ""), parameters.get("scope", "")
    )


def token_url(challenge: Challenge, registry_url: str, auth_host: str, scope: str) -> str:
    """Return where a token is asked for.

    Raises:
        TransferError: it is another host than the registry or its configured one, or less safe than the registry.
    """
    scheme, host, port = origin(challenge.realm)
    own_scheme, own_host, own_port = origin(registry_url)
    if not auth_host and (host, port) != (own_host, own_port):
        raise TransferError(
            f'realm host "{host}" does not match original host "{own_host}"; if it is right, set auth_host for this '
            "registry in config.toml"
        )
    if auth_host and (scheme, host, port) != origin(f"{scheme}://{auth_host.lower()}"):
        raise TransferError(f'realm host "{host}" is not the auth_host "{auth_host}" that is configured')
    if own_scheme == "https" and scheme != "https":
        raise TransferError("the registry wants to hand out tokens without TLS; this is refused")
    parts = urlsplit(challenge.realm)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if challenge.service:
        query.append(("service", challenge.service))
    query += [("scope", item) for item in (challenge.scope or scope).split(" ") if item]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def stamped(url: str, seconds: float | None = None, nonce: str = "") -> str:
    """Return a URL with the moment and a number used once in its query, so that its signature can't be used again."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query.append(("ts", str(int(time.time() if seconds is None else seconds))))
    query.append(("nonce", nonce or secrets.token_urlsafe(NONCE_BYTES)))
    return parts._replace(query=urlencode(sorted(query))).geturl()


def parse_token(body: bytes) -> Token:
    """Read a realm's answer; raises UnauthorizedError for one without a token."""
    try:
        answer = msgspec.json.decode(body, type=_TokenAnswer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnauthorizedError(f"{DENIED}; the registry's token is not readable") from exc
    value = answer.token or answer.access_token
    if not value or not value.isascii() or not value.isprintable():
        raise UnauthorizedError(DENIED)
    return Token(value, max(1.0, min(answer.expires_in, 86_400.0)) * 0.9)


def basic(username: str, password: str) -> str:
    """Return the header's value for a user and password, "" without a user."""
    if not username:
        return ""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
