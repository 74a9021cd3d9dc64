"""Where a client sends its requests: base URL, headers and time limits, alike for both clients."""

from __future__ import annotations

from dataclasses import dataclass

import httpcore

from ollamapy.client.calls import Call
from ollamapy.config import HostAddress, parse_host
from ollamapy.errors import InvalidInputError
from ollamapy.version import __version__

CONNECT_SECONDS = 10.0
PROBE_SECONDS = 5.0  # a server of this API tells its version at once, also while it is busy
NO_CONNECTION = (httpcore.ConnectError, httpcore.ConnectTimeout)
BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address with the key for it; `timeout_seconds` bounds each silence of the server, None waits for ever."""

    base_url: str
    api_key: str | None = None
    timeout_seconds: float | None = None

    def url(self, call: Call) -> str:
        """Return the full URL of a call."""
        return self.base_url + call.path

    def headers(self, call: Call, size_bytes: int | None = None) -> list[tuple[str, str]]:
        """Return the headers; `size_bytes` is the length of a body that is streamed."""
        headers = [("User-Agent", f"ollamapy/{__version__}"), ("Accept", "application/json, application/x-ndjson")]
        if size_bytes is not None:
            headers += [("Content-Type", "application/octet-stream"), ("Content-Length", str(size_bytes))]
        elif call.body:
            headers.append(("Content-Type", "application/json"))
        if self.api_key:
            headers.append(("Authorization", f"Bearer {self.api_key}"))
        return headers

    def extensions(self, *, is_probe: bool = False) -> dict[str, dict[str, float | None]]:
        """Return the time limits in httpcore's terms; a probe is bounded also where nothing else is."""
        limit = self.timeout_seconds
        if is_probe:
            limit = PROBE_SECONDS if limit is None else min(limit, PROBE_SECONDS)
        return {"timeout": {"connect": CONNECT_SECONDS, "read": limit, "write": limit, "pool": None}}


def make_endpoint(host: str | None, api_key: str | None, timeout_seconds: float | None) -> Endpoint:
    """Return the endpoint of a host in any form that OLLAMA_HOST has; raises InvalidInputError if it has none."""
    try:
        address = parse_host(host) if host else HostAddress()
    except ValueError as exc:
        raise InvalidInputError(f"host {host!r} is not valid; expected {exc}") from exc
    return Endpoint(address.base_url, api_key, timeout_seconds)
