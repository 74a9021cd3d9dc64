"""How the values of settings are written: hosts, durations, sizes, Go's booleans. Each parser says what it expects."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast
from urllib.parse import quote

import platformdirs

from ollamapy.errors import InvalidInputError, InvalidNameError
from ollamapy.names import ModelName

DEFAULT_PORT = 11434
MOST_STREAMS = 64
FlashAttention = Literal["auto", "on", "off"]
KvCacheType = Literal["f32", "f16", "q8_0", "q4_0"]

_KV_CACHE_TYPES = ("f32", "f16", "q8_0", "q4_0")
_TRUE_WORDS = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE_WORDS = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_LONGEST_SECONDS = (2**63 - 1) / 1e9
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,15})\s*(|[kKmMgGtT])(i?[bB])?")
_UNIT_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class Supervisor:
    """What the program that started this process passes on: an address to tell of readiness, and open sockets."""

    notify_address: str = ""
    process_id: int = 0
    n_sockets: int = 0


@dataclass(frozen=True, slots=True)
class HostAddress:
    """Where the daemon listens and a client connects; `host` is empty for all interfaces."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    path: str = ""

    @property
    def bind_host(self) -> str:
        """The address to listen on."""
        return self.host or "0.0.0.0"  # noqa: S104 - only where the user asked for all interfaces

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if _is_ip_address(self.host):
            return ip_address(self.host).is_loopback
        return self.host.lower() == "localhost"

    @property
    def base_url(self) -> str:
        """The URL for clients, without a slash at its end; all interfaces are reached through loopback."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        bracketed = f"[{host}]" if ":" in host else host
        path = quote(self.path.strip("/"), safe="/%~")
        return f"{self.scheme}://{bracketed}:{self.port}" + (f"/{path}" if path else "")


def parse_host(text: str) -> HostAddress:
    """Read `host`, `:port`, `host:port` or `scheme://host[:port][/path]`; raises ValueError with what is expected."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = ("https", "ollama.com:443") if text == "ollama.com" else ("http", text)
    if scheme not in ("http", "https"):
        raise ValueError("http:// or https:// before the host")
    default_port = {"http": 80, "https": 443}[scheme] if separator else DEFAULT_PORT
    authority, _, path = rest.partition("/")
    host, port = _split_port(authority)
    if not re.fullmatch(r"[A-Za-z0-9._-]*", host) and not _is_ip_address(host):
        raise ValueError("a host name or an IP address, with :port behind it if need be")
    if not port:
        return HostAddress(scheme, host or ("" if authority.endswith(":") else "127.0.0.1"), default_port, path)
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("a port from 0 to 65535 behind the last ':'")
    return HostAddress(scheme, host, int(port), path)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _split_port(authority: str) -> tuple[str, str]:
    """Split `host:port`; an IPv6 address may stand alone without brackets."""
    if match := re.fullmatch(r"\[([^\]]*)\](?::(.*))?", authority):
        return match[1], match[2] or ""
    if authority.count(":") > 1:
        return authority, ""
    host, _, port = authority.partition(":")
    return host, port


def parse_duration(text: str) -> float:
    """Read a duration as Go does (`5m`, `1h30m`, `-1s`, `0`) and return seconds; a negative one is math.inf.

    A negative number without a unit means forever too.

    Raises:
        InvalidInputError: with Go's words for what is wrong.
    """
    shown = text[:80]
    if re.fullmatch(r"-[0-9]+", text) and text.strip("-0"):
        return math.inf
    sign, rest = (text[0], text[1:]) if text[:1] in ("-", "+") else ("", text)
    if rest == "0":
        return 0.0
    seconds, end = 0.0, 0
    while rest and (term := _TERM.match(rest, end)):
        if not term[2]:
            raise InvalidInputError(f'time: missing unit in duration "{shown}"')
        if term[2] not in _UNIT_SECONDS:
            raise InvalidInputError(f'time: unknown unit "{term[2]}" in duration "{shown}"')
        seconds += float(term[1]) * _UNIT_SECONDS[term[2]]
        end = term.end()
    if not rest or end != len(rest) or seconds > _LONGEST_SECONDS:
        raise InvalidInputError(f'time: invalid duration "{shown}"')
    return math.inf if sign == "-" and seconds > 0 else seconds


def parse_seconds(text: str) -> float:
    """Read a duration or a number of seconds; negative is math.inf. Raises ValueError with what is expected."""
    if _INTEGER.fullmatch(text):
        return math.inf if int(text) < 0 else float(text)
    try:
        return parse_duration(text)
    except InvalidInputError as exc:
        raise ValueError(f"a duration such as 5m or 1h30m, or a number of seconds ({exc})") from exc


def parse_timeout(text: str) -> float:
    """Read a duration that 0 makes unlimited; raises ValueError with what is expected."""
    return parse_seconds(text) or math.inf


def parse_count(text: str) -> int:
    """Read a whole number; raises ValueError with what is expected."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("a whole number from 0 to 999999999")
    return int(text)


def parse_streams(text: str) -> int:
    """Read a number of connections; raises ValueError with what is expected."""
    if not 1 <= parse_count(text) <= MOST_STREAMS:
        raise ValueError(f"a whole number from 1 to {MOST_STREAMS}")
    return parse_count(text)


def parse_bool(text: str) -> bool:
    """Read one of Go's words for true and false; raises ValueError with what is expected."""
    if text in _TRUE_WORDS:
        return True
    if text in _FALSE_WORDS:
        return False
    raise ValueError("true or false (or 1, 0, t, f)")


def parse_debug(text: str) -> int:
    """Read a level, or whether there is one at all; raises ValueError with what is expected."""
    return parse_count(text) if text.isascii() and text.isdigit() else int(parse_bool(text))


def parse_flash_attention(text: str) -> FlashAttention:
    """Read a force or none; raises ValueError with what is expected."""
    if text.lower() in ("auto", "on", "off"):
        return cast(FlashAttention, text.lower())
    if text in _TRUE_WORDS or text in _FALSE_WORDS:
        return "on" if text in _TRUE_WORDS else "off"
    raise ValueError("auto, on or off (or true, false, 1, 0)")


def parse_kv_cache_type(text: str) -> KvCacheType:
    """Read the name of a type in any case; raises ValueError with what is expected."""
    if text.lower() not in _KV_CACHE_TYPES:
        raise ValueError("f32, f16, q8_0 or q4_0")
    return cast(KvCacheType, text.lower())


def parse_list(text: str) -> tuple[str, ...]:
    """Return what stands between commas, without blanks around it."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def parse_model_names(text: str) -> tuple[str, ...]:
    """Return the names of models between commas; raises ValueError with what is expected."""
    names = parse_list(text)
    for name in names:
        try:
            ModelName.parse(name)
        except InvalidNameError as exc:
            raise ValueError(f"names of models, separated by commas ({exc.message})") from exc
    return names


def parse_folder(text: str) -> Path:
    """Read a path, `~` being the home folder; raises ValueError with what is expected."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as exc:
        raise ValueError("the path of a folder; the home folder behind ~ is unknown") from exc


def parse_optional_folder(text: str) -> Path | None:
    """Read a path as `parse_folder` does, or None from no text."""
    return parse_folder(text) if text else None


def parse_size(text: str) -> int:
    """Read a size that is not 0 and return its bytes; raises ValueError with what is expected."""
    if not parse_room(text):
        raise ValueError("a size in bytes above 0, or with K, M or G behind it")
    return parse_room(text)


def parse_room(text: str) -> int:
    """Read a size, which may be 0, and return its bytes; raises ValueError with what is expected."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("a size in bytes, or with K, M or G behind it")
    return int(match[1]) * _UNIT_BYTES[match[2].lower()]


def parse_choice(text: str) -> bool | None:
    """Read true or false, or None from no text; raises ValueError with what is expected."""
    return parse_bool(text) if text else None


def parse_optional(text: str) -> str | None:
    """Return a text, None for an empty one."""
    return text or None


def parse_presence(text: str) -> bool:
    """Return whether there is any text; what it says does not matter."""
    return bool(text)


def default_models_dir() -> Path:
    """Return the folder of the model store where nothing names another."""
    return Path(platformdirs.user_data_dir("ollamapy", appauthor=False)) / "models"


def default_state_dir() -> Path:
    """Return the folder of known prompts where nothing names another."""
    return Path(platformdirs.user_cache_dir("ollamapy", appauthor=False)) / "state"
