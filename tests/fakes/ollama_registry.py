"""Asks for tokens as Ollama's registry does: signed with an ed25519 key that the server knows."""

from __future__ import annotations

import base64
import hashlib
import itertools

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.registry import FakeRegistry

EMPTY = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()


class KeyExchange:
    """Bends a registry: requests need a token, and `/token` gives one to the holders of `known` keys.

    After `revoked_after` answers no token is good any more, once. `asked` are the queries that came to `/token`,
    `realm` is where the registry says that it is.
    """

    def __init__(self, registry: FakeRegistry, *known: str, revoked_after: int = 0) -> None:
        self.registry = registry
        self.known = set(known)
        self.revoked_after = revoked_after
        self.tokens: set[str] = set()
        self.answered = 0
        self.asked: list[dict[str, list[str]]] = []
        self.numbers = itertools.count()
        self.realm = f"{registry.base_url}/token"
        registry.bend = self.answer

    def answer(self, request: Request, response: Response) -> Response:
        if request.url.path == "/token":
            return self.issue(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            challenge = f'Bearer realm="{self.realm}",service="registry",scope="repository:me/tiny:pull"'
            return JSONResponse({"errors": []}, 401, {"www-authenticate": challenge})
        self.answered += 1
        if self.answered == self.revoked_after:
            self.tokens.clear()
        return response

    def issue(self, request: Request) -> Response:
        query = {key: request.query_params.getlist(key) for key in request.query_params}
        self.asked.append(query)
        public, _, signature = request.headers.get("authorization", "").partition(":")
        if not verify(public, signature, str(request.url)) or f"ssh-ed25519 {public}" not in self.known:
            return JSONResponse({"error": "unauthorized"}, 401)
        token = f"token-{next(self.numbers)}"
        self.tokens.add(token)
        return JSONResponse({"token": token})


def verify(public: str, signature: str, url: str) -> bool:
    """Check a signature of a GET of this URL the way Ollama's server does."""
    try:
        key = load_ssh_public_key(f"ssh-ed25519 {public}".encode())
        key.verify(base64.b64decode(signature), f"GET,{url},{EMPTY}".encode())  # type: ignore[union-attr, call-arg]
    except (InvalidSignature, ValueError):
        return False
    return True
