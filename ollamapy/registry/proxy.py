"""Which proxy a request goes through: pure.

Source: the conventions of curl and of Go's http package for `NO_PROXY`.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import httpcore

from ollamapy.config import Proxies
from ollamapy.registry.address import origin


def choose_proxy(proxies: Proxies, scheme: str, host: str, port: int) -> str:
    """Return the URL of the proxy for a request to this host, "" for none; this machine itself is asked directly."""
    chosen = proxies.https if scheme == "https" else proxies.http
    if not chosen or _is_this_machine(host):
        return ""
    is_bypassed = any(_is_meant(item.strip().lower(), host, port) for item in proxies.bypass.split(","))
    return "" if is_bypassed else chosen


def proxy_of(url: str) -> httpcore.Proxy:
    """Return a proxy as the HTTP library takes it, with the user and password of its URL."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="/").geturl()
    auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode()) if parts.username else None
    return httpcore.Proxy(bare, auth=auth)


def proxy_address(url: str) -> tuple[str, int]:
    """Return host and port of a proxy."""
    parts = urlsplit(url)
    return origin(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())[1:]


def _is_meant(item: str, host: str, port: int) -> bool:
    """Tell whether a host belongs to an item of NO_PROXY: `*`, a domain, an address or a network, with or without port.

    A domain means those below it too.
    """
    if "/" in item:
        try:
            return ip_address(host) in ip_network(item, strict=False)
        except ValueError:
            return False
    domain = item.removesuffix(f":{port}").strip("[]").lstrip(".")
    return item == "*" or (bool(domain) and (host == domain or host.endswith(f".{domain}")))


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
