"""The registries that a user named, in a variable or in the table `registries` of the configuration file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote, urlsplit

from ollamapy.config.values import parse_list
from ollamapy.errors import ConfigError

CLOSE = 0.75  # how alike an unknown word and the known one are that is offered in its place, of 1
_AUTHORITY = re.compile(r"([a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that the user named: it may have a private address, and models may be pushed to it.

    `host` is what stands in model names, in lower case; `url` is where it is reached, without a slash at its end. Where
    that is a mirror's, `upstream` is the URL of the host itself, which is asked for what the mirror can't give.
    """

    host: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    auth_host: str = ""  # host[:port] that may issue its tokens, where that is another one
    ca_file: str = ""
    ollama_key: bool = False  # its tokens are asked for with this user's ed25519 key, as Ollama's own are
    oci: bool = False  # manifests are sent to it as OCI's and not as Docker's
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy of each scheme as a URL, "" for none; `bypass` are the hosts that are reached without it."""

    https: str = field(default="", repr=False)
    http: str = field(default="", repr=False)
    bypass: str = ""


_SWITCHES = ("insecure", "mirror_only", "ollama_key", "oci")
_OF_ADDRESSES = frozenset({"insecure", "mirror", "mirror_only"})
REGISTRY_KEYS = _OF_ADDRESSES | {item.name for item in fields(Registry)} - {"host", "url", "upstream"}
"""What the configuration file may say of a registry."""


def parse_registries(text: str) -> tuple[Registry, ...]:
    """Read `URL` or `host=URL` between commas, a mirror being the latter; raises ValueError with what is expected."""
    entries = []
    for item in parse_list(text):
        host, separator, url = item.rpartition("=")
        is_mirror = separator and "://" not in host
        entries.append(_mirror(url, host) if is_mirror else _registry(url))
    return tuple(entries)


def parse_endpoint(text: str) -> str:
    """Read the URL of a service and return it without a slash at its end; raises ValueError with what is expected."""
    return _registry(text).url


def parse_proxy(text: str) -> str:
    """Read a proxy's URL, which may lack its http://; raises ValueError with what is expected."""
    if not text:
        return ""
    url = text if "://" in text else f"http://{text}"
    try:
        _registry(url)
    except ValueError as exc:
        raise ValueError("http://[user:password@]host:port") from exc
    return url.rstrip("/")


def registry_of(host: str, row: Mapping[str, object]) -> Registry:
    """Read a table `[registries."host:port"]`; raises ConfigError with the key that is wrong.

    `mirror` is the URL that is asked in the place of the host, with `mirror_only` also for what it can't give;
    `insecure` asks the host itself by http://.
    """
    place = f'registries."{host}"'
    for key, value in row.items():
        if key not in REGISTRY_KEYS:
            raise ConfigError(f"{place}.{key}", f"there is no such key{closest(key, REGISTRY_KEYS)}")
        kind = bool if key in _SWITCHES else str
        if not isinstance(value, kind):
            raise ConfigError(f"{place}.{key}", f"expected {'true or false' if kind is bool else 'a text'}")
    given: dict[str, Any] = {key: value for key, value in row.items() if key not in _OF_ADDRESSES}
    mirror, own = str(row.get("mirror") or ""), f"{'http' if row.get('insecure') else 'https'}://{host}"
    try:
        if not mirror:
            return replace(_registry(own, host), **given)
        return replace(_mirror(mirror, host, "" if row.get("mirror_only") else own), **given)
    except ValueError as exc:
        raise ConfigError(f"{place}.mirror" if "mirror" in row else place, f"expected {exc}") from exc


def closest(word: str, known: Collection[str]) -> str:
    """Return the end of a complaint about an unknown word: the known one that it resembles closely, if one does.

    Prefixes that all variables share say nothing about which one was meant.
    """
    by_stem = {_stem(name): name for name in known}
    near = get_close_matches(_stem(word), by_stem, n=1, cutoff=CLOSE)
    return f"; did you mean {by_stem[near[0]]}?" if near else ""


def _stem(word: str) -> str:
    return word.lower().removeprefix("ollamapy_").removeprefix("ollama_")


def _mirror(url: str, host: str, upstream: str | None = None) -> Registry:
    """Read a mirror's URL, behind which stands the host itself, by https:// unless told otherwise.

    Raises ValueError with what is expected.
    """
    mirror = _registry(url, host)
    own = f"https://{mirror.host}" if upstream is None else upstream
    return replace(mirror, upstream="" if own == mirror.url else own)


def _registry(url: str, host: str = "") -> Registry:
    """Read a URL with or without user and password; raises ValueError with what is expected."""
    parts = urlsplit(url)
    authority = parts.netloc.rpartition("@")[2].lower()
    if parts.scheme not in ("http", "https") or not _AUTHORITY.fullmatch(authority) or parts.query or parts.fragment:
        raise ValueError("https://host[:port] or http://host[:port] for each registry")
    if host and not _AUTHORITY.fullmatch(host.lower()):
        raise ValueError("host[:port] before '='")
    return Registry(
        host=host.lower() or authority,
        url=f"{parts.scheme}://{authority}{parts.path.rstrip('/')}",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
