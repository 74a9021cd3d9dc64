"""Decides who may talk to the daemon: by host name, by browser origin and by API key, before anything else happens.

1. The request must be addressed to a name that is ours: a web page can't reach the daemon through a name of its own
   that resolves to this machine (DNS rebinding).
2. A browser must have loaded the page from here or from an origin on the allow-list (cross-site request forgery).
3. With API keys configured, all but the greeting and the health check need one of them.
4. A key may be for inference alone: it asks models, and changes none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ollamapy.config import Settings
from ollamapy.errors import ConfigError
from ollamapy.server.errors import Failure, error_response

PUBLIC_PATHS = frozenset({"/", "/health"})
INFERENCE_PATHS = frozenset(  # beside all that only reads, and all of /v1; a new route is not for everybody by itself
    f"/api/{verb}"
    for verb in ("chat", "generate", "embed", "embeddings", "rerank", "render", "tokenize", "detokenize", "show")
)
UPLOADS = "/api/blobs/"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
LOCAL_ORIGINS = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")  # noqa: S104 - compared with, never bound to
APP_ORIGINS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
ALLOWED_HEADERS = (
    "authorization, content-type, user-agent, accept, x-requested-with, x-api-key, anthropic-version, anthropic-beta, "
    "anthropic-dangerous-direct-browser-access, "
    "openai-beta, x-stainless-arch, x-stainless-async, x-stainless-custom-poll-interval, x-stainless-helper-method, "
    "x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-poll-helper, "
    "x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout"
)
MAX_AGE_SECONDS = 12 * 3600

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")
_PORT = re.compile(r"(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask. Host names and origins are lower case; the hashes of keys are sha256 digests."""

    hosts: frozenset[str]
    origins: tuple[str, ...] = ()
    key_hashes: tuple[bytes, ...] = ()
    inference_hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the decision is made from: all Host headers, and the address of ours that was connected to."""

    method: str
    path: str
    hosts: tuple[str, ...]
    origin: str | None = None
    fetch_site: str = ""
    keys: tuple[bytes, ...] = ()
    is_preflight: bool = False
    local_host: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the request goes on; `allow_origin` is told to the browser."""

    failure: Failure | None = None
    allow_origin: str | None = None
    is_preflight: bool = False


def policy_of(settings: Settings) -> Policy:
    """Return the policy that the settings ask for; raises ConfigError where it would leave the daemon open."""
    host = settings.host
    if not host.is_loopback and not settings.api_keys + settings.inference_keys and not settings.insecure_bind:
        raise ConfigError(
            "OLLAMA_HOST",
            f"{host.bind_host} can be reached from other machines and no API key is set; set OLLAMAPY_API_KEYS, "
            "bind to 127.0.0.1, or set OLLAMAPY_INSECURE_BIND=1 to let everybody on the network in",
        )
    named = {_bare_host(name) for name in settings.allowed_hosts} | {_bracketed(host.host.lower())}
    wildcards = {"", "*", "0.0.0.0", "[::]"}  # noqa: S104
    return Policy(
        hosts=frozenset(LOCAL_HOSTS) | (named - wildcards),
        origins=tuple(origin.strip().rstrip("/").lower() for origin in settings.origins) + APP_ORIGINS,
        key_hashes=tuple(hash_key(key.encode()) for key in settings.api_keys),
        inference_hashes=tuple(hash_key(key.encode()) for key in settings.inference_keys),
    )


def decide(policy: Policy, asked: Asked) -> Verdict:
    """Decide about one request, by the four rules of this module."""
    # 1. the host
    host = _single_host(asked.hosts)
    if host is None or not (host in policy.hosts or host == _bracketed(asked.local_host)):
        return Verdict(
            Failure(403, "this host name is not served here; add it to OLLAMAPY_ALLOWED_HOSTS if it is yours")
        )
    # 2. the origin
    allowed = None
    if asked.origin is not None:
        if not _is_allowed_origin(policy, asked.origin, asked.hosts[0]):
            return Verdict(Failure(403, "this origin is not allowed; add it to OLLAMA_ORIGINS if it is yours"))
        allowed = asked.origin
    elif asked.fetch_site.lower() == "cross-site":
        return Verdict(Failure(403, "requests from other sites are not allowed"))
    if asked.is_preflight and allowed is not None:
        return Verdict(allow_origin=allowed, is_preflight=True)
    if not (policy.key_hashes or policy.inference_hashes) or asked.path in PUBLIC_PATHS:
        return Verdict(allow_origin=allowed)
    # 3. the key
    has_key, may_infer = _is_among(asked.keys, policy.key_hashes), _is_among(asked.keys, policy.inference_hashes)
    if not (has_key or may_infer):
        text = (
            "a valid API key is required: send it as Authorization: Bearer KEY or as x-api-key; "
            "ollamapy's commands send what OLLAMA_API_KEY holds"
        )
        return Verdict(Failure(401, text, "invalid_api_key"), allow_origin=allowed)
    # 4. its scope
    if not (has_key or is_inference(asked.method, asked.path)):
        text = "this API key may ask models, but not change them or the store; use one of OLLAMAPY_API_KEYS"
        return Verdict(Failure(403, text, "insufficient_permissions"), allow_origin=allowed)
    return Verdict(allow_origin=allowed)


def is_inference(method: str, path: str) -> bool:
    """Return whether a request only reads or asks a model."""
    if path.startswith(UPLOADS):
        return False
    return method in ("GET", "HEAD") or path in INFERENCE_PATHS or path.startswith("/v1/")


def hash_key(key: bytes) -> bytes:
    """Return what is kept of a key; hashes have one length, so comparing them tells nothing of it."""
    return hashlib.sha256(key).digest()


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI application in front of another one, which it asks only where the policy allows."""

    app: ASGIApp
    policy: Policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request or a preflight; hand on everything else."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        verdict = decide(self.policy, read_asked(scope))
        send = _with_cors(send, verdict.allow_origin) if verdict.allow_origin else send
        if verdict.failure is not None:
            request_id = scope.get("state", {}).get("request_id", "")
            await error_response(verdict.failure, scope["path"], request_id)(scope, receive, send)
        elif verdict.is_preflight:
            await _preflight()(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def read_asked(scope: Scope) -> Asked:
    """Read what the decision needs from a request."""
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    origin = headers.get(b"origin")
    keys = list(headers.get(b"x-api-key", ()))
    for value in headers.get(b"authorization", ()):
        scheme, _, key = value.strip().partition(b" ")
        if scheme.lower() == b"bearer":
            keys.append(key.strip())
    server = scope.get("server") or ("", None)
    return Asked(
        method=scope["method"],
        path=scope["path"],
        hosts=tuple(host.decode("latin-1") for host in headers.get(b"host", ())),
        origin=None if origin is None else b", ".join(origin).decode("latin-1"),
        fetch_site=headers.get(b"sec-fetch-site", [b""])[0].decode("latin-1"),
        keys=tuple(keys),
        is_preflight=scope["method"] == "OPTIONS" and b"access-control-request-method" in headers,
        local_host=server[0] if server[1] is not None else "",
    )


def _single_host(hosts: tuple[str, ...]) -> str | None:
    return _bare_host(hosts[0]) or None if len(hosts) == 1 else None


def _bare_host(text: str) -> str:
    """Return a host without its port, lower case, IPv6 in brackets; empty for anything else."""
    text = text.strip().lower()
    match = _HOST.fullmatch(_bracketed(text))
    return match[1] if match else ""


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return host


def _is_allowed_origin(policy: Policy, origin: str, host: str) -> bool:
    origin = origin.strip().lower()
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return "*" in policy.origins and origin != "null"
    if scheme in ("http", "https"):
        if rest == host.strip().lower():
            return True
        if any(rest.startswith(name) and _PORT.fullmatch(rest[len(name) :]) for name in LOCAL_ORIGINS):
            return True
    return any(_matches(origin, pattern) for pattern in policy.origins)


def _matches(origin: str, pattern: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return origin == pattern
    return len(origin) >= len(head) + len(tail) and origin.startswith(head) and origin.endswith(tail)


def _is_among(keys: tuple[bytes, ...], accepted: tuple[bytes, ...]) -> bool:
    hashes = [hash_key(key) for key in keys if key]
    matches = [hmac.compare_digest(mine, theirs) for mine in accepted for theirs in hashes]
    return any(matches)


def _preflight() -> Response:
    headers = {
        "access-control-allow-methods": ALLOWED_METHODS,
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-max-age": str(MAX_AGE_SECONDS),
    }
    return Response(status_code=204, headers=headers)


def _with_cors(send: Send, origin: str) -> Send:
    async def send_with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = "x-request-id, request-id"
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_origin
