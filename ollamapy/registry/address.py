"""Which URLs and network addresses may be connected to: pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urljoin, urlsplit

from ollamapy.errors import TransferError

DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet; addresses within addresses are looked at too."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for: mapped, NAT64 or 6to4."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host in lower case and port of a URL; raises TransferError for one that is none of ours."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise TransferError("the registry gave an address that is none") from exc
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise TransferError("the registry gave an address that is neither https:// nor http:// and a host")
    return parts.scheme, parts.hostname.lower(), port or DEFAULT_PORTS[parts.scheme]


def redirect_target(url: str, location: str) -> str:
    """Return where a redirect leads; raises TransferError for one that may not be followed."""
    if not location or not location.isascii() or not location.isprintable() or len(location) > 16_384:
        raise TransferError("the registry sent a redirect without a proper address")
    target = urljoin(url, location).partition("#")[0]
    if origin(url)[0] == "https" and origin(target)[0] != "https":
        raise TransferError("the registry redirects from https to http; this is refused")
    return target
