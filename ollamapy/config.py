"""The settings of daemon and client, read once from environment variables; no other module looks at them.

`VARIABLES` is the table of all of them. Values are read as Ollama reads its own: blanks and quotes around a value do
not count, an empty value is an absent one, booleans are Go's words. Unlike in Ollama, a bad value is an error that
names its variable.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

import platformdirs

from ollamapy.errors import ConfigError, InvalidInputError

DEFAULT_PORT = 11434
DEFAULT_HF_ENDPOINT = "https://huggingface.co"
FlashAttention = Literal["auto", "on", "off"]
KvCacheType = Literal["f32", "f16", "q8_0", "q4_0"]
T = TypeVar("T")
D = TypeVar("D")

_KV_CACHE_TYPES = ("f32", "f16", "q8_0", "q4_0")
_TRUE_WORDS = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE_WORDS = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_LONGEST_SECONDS = (2**63 - 1) / 1e9
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,15})\s*(|[kKmMgGtT])(i?[bB])?")
_SECRET = re.compile(r"KEY|TOKEN|REGISTRIES$|_PROXY$")
_AUTHORITY = re.compile(r"([a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_UNIT_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

VARIABLES: Mapping[str, str] = {
    "OLLAMA_HOST": "address to serve on and to connect to (default http://127.0.0.1:11434)",
    "OLLAMA_MODELS": "folder of the model store (default: the platform's data folder)",
    "OLLAMA_KEEP_ALIVE": "how long an idle model stays loaded: a duration or seconds; negative is forever (default 5m)",
    "OLLAMA_LOAD_TIMEOUT": "how long a load may make no progress; 0 is without limit (default 5m)",
    "OLLAMA_MAX_LOADED_MODELS": "most models loaded at once (default 0: one)",
    "OLLAMA_NUM_PARALLEL": "most requests that one model answers at once (default 0: as many as its memory holds)",
    "OLLAMA_MAX_QUEUE": "most requests that wait for a model before others are refused (default 512)",
    "OLLAMA_CONTEXT_LENGTH": "default context length in tokens (default 0: by memory)",
    "OLLAMA_ORIGINS": "further allowed browser origins, separated by commas",
    "OLLAMA_FLASH_ATTENTION": "force flash attention on or off (default: where it helps)",
    "OLLAMA_KV_CACHE_TYPE": "type of the KV cache: f32, f16, q8_0 or q4_0 (default f16)",
    "OLLAMA_GO_TEMPLATE": "true or false: whether a model's own Go template counts before its file's Jinja one "
    "(default: the one that offers more)",
    "OLLAMA_NOPRUNE": "keep blobs that no model uses any more (default false)",
    "OLLAMA_NOHISTORY": "keep no history of the interactive prompt (default false)",
    "OLLAMA_DEBUG": "log more: 1 for debug, 2 for trace (default 0)",
    "NO_COLOR": "print without colours if set to anything",
    "OLLAMA_API_KEY": "key that the client sends to the daemon",
    "OLLAMAPY_API_KEYS": "keys that the daemon accepts, separated by commas; none: no key is asked for",
    "OLLAMAPY_ALLOWED_HOSTS": "further host names that requests may be addressed to, separated by commas",
    "OLLAMAPY_INSECURE_BIND": "serve on other addresses than loopback although no key is set (default false)",
    "OLLAMAPY_REGISTRIES": "registries to pull from and push to, separated by commas: "
    "https://[user:password@]host[:port], http:// for one without TLS, host=URL for a mirror",
    "OLLAMAPY_REGISTRIES_FILE": "TOML file of registries (default ollamapy/registries.toml in XDG_CONFIG_HOME)",
    "XDG_CONFIG_HOME": "folder of configuration files (default ~/.config)",
    "HOME": "the home folder, where XDG_CONFIG_HOME is not set, and where Ollama's own key is looked for",
    "HTTPS_PROXY": "proxy for https:// registries: http://[user:password@]host:port",
    "HTTP_PROXY": "proxy for http:// registries",
    "NO_PROXY": "hosts that are reached without a proxy, separated by commas; this machine always is",
    "OLLAMAPY_OFFLINE": "never connect to a registry (default false)",
    "OLLAMAPY_MAX_RATE": "most bytes per second that pulls and pushes take, such as 20M (default: all there are)",
    "HF_TOKEN": "token for Hugging Face",
    "HF_ENDPOINT": "address of Hugging Face or a mirror of it (default https://huggingface.co)",
    "OLLAMAPY_MAX_BODY": "largest JSON request body, such as 64M (default 64M)",
}


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


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that the user named: it may have a private address, and models may be pushed to it.

    `host` is what stands in model names, in lower case; `url` is where it is reached, without a slash at its end.
    """

    host: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    auth_host: str = ""  # host[:port] that may issue its tokens, where that is another one
    ca_file: str = ""
    ollama_key: bool = False  # its tokens are asked for with this user's ed25519 key, as Ollama's own are


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy of each scheme as a URL, "" for none; `bypass` are the hosts that are reached without it."""

    https: str = field(default="", repr=False)
    http: str = field(default="", repr=False)
    bypass: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Durations may be math.inf; a limit of 0 is chosen by the part that it limits."""

    host: HostAddress
    models_dir: Path
    keep_alive_seconds: float = 300.0
    load_timeout_seconds: float = 300.0
    max_loaded_models: int = 0
    num_parallel: int = 0
    max_queue: int = 512
    context_length: int = 0
    origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    flash_attention: FlashAttention = "auto"
    kv_cache_type: KvCacheType = "f16"
    go_template: bool | None = None
    no_prune: bool = False
    no_history: bool = False
    no_color: bool = False
    debug: int = 0
    registries: tuple[Registry, ...] = ()
    offline: bool = False
    max_rate_bytes: int = 0  # per second; 0 is without limit
    hf_token: str = field(default="", repr=False)
    hf_endpoint: str = DEFAULT_HF_ENDPOINT
    proxies: Proxies = Proxies()
    credentials_file: Path | None = None  # what `login` writes; None where no folder is known for it
    key_files: tuple[Path, ...] = ()  # where the ed25519 key is looked for; the last is where one is made
    api_key: str | None = None
    api_keys: tuple[str, ...] = ()
    insecure_bind: bool = False
    max_body_bytes: int = 64 << 20


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings; raises ConfigError, which names the variable, its value and what is expected.

    Variables that hold a key are never quoted.
    """
    env = _Environment(environ)
    config = config_dir(environ)
    return Settings(
        host=env.read("OLLAMA_HOST", parse_host, HostAddress()),
        models_dir=env.read("OLLAMA_MODELS", _parse_folder, default_models_dir()),
        keep_alive_seconds=env.read("OLLAMA_KEEP_ALIVE", _parse_seconds, 300.0),
        load_timeout_seconds=env.read("OLLAMA_LOAD_TIMEOUT", _parse_timeout, 300.0),
        max_loaded_models=env.read("OLLAMA_MAX_LOADED_MODELS", _parse_count, 0),
        num_parallel=env.read("OLLAMA_NUM_PARALLEL", _parse_count, 0),
        max_queue=env.read("OLLAMA_MAX_QUEUE", _parse_count, 512),
        context_length=env.read("OLLAMA_CONTEXT_LENGTH", _parse_count, 0),
        origins=env.read("OLLAMA_ORIGINS", _parse_list, ()),
        allowed_hosts=env.read("OLLAMAPY_ALLOWED_HOSTS", _parse_list, ()),
        flash_attention=env.read("OLLAMA_FLASH_ATTENTION", _parse_flash_attention, "auto"),
        kv_cache_type=env.read("OLLAMA_KV_CACHE_TYPE", _parse_kv_cache_type, "f16"),
        go_template=env.read("OLLAMA_GO_TEMPLATE", _parse_bool, None),
        no_prune=env.read("OLLAMA_NOPRUNE", _parse_bool, False),
        no_history=env.read("OLLAMA_NOHISTORY", _parse_bool, False),
        no_color=env.read("NO_COLOR", bool, False),
        debug=env.read("OLLAMA_DEBUG", _parse_debug, 0),
        registries=_read_registries(env, environ),
        offline=env.read("OLLAMAPY_OFFLINE", _parse_bool, False),
        max_rate_bytes=env.read("OLLAMAPY_MAX_RATE", _parse_size, 0),
        hf_token=env.read("HF_TOKEN", str, ""),
        hf_endpoint=env.read("HF_ENDPOINT", _parse_endpoint, DEFAULT_HF_ENDPOINT),
        proxies=_read_proxies(env),
        credentials_file=config / "credentials.json" if config else None,
        key_files=_key_files(environ),
        api_key=env.read("OLLAMA_API_KEY", str, None),
        api_keys=env.read("OLLAMAPY_API_KEYS", _parse_list, ()),
        insecure_bind=env.read("OLLAMAPY_INSECURE_BIND", _parse_bool, False),
        max_body_bytes=env.read("OLLAMAPY_MAX_BODY", _parse_size, 64 << 20),
    )


def default_models_dir() -> Path:
    """Return the folder of the model store where `OLLAMA_MODELS` is not set."""
    return Path(platformdirs.user_data_dir("ollamapy", appauthor=False)) / "models"


def config_dir(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of this program's configuration files; None where the environment names none."""
    env = _Environment(environ)
    home = env.read("HOME", str, "")
    root = env.read("XDG_CONFIG_HOME", str, "") or (f"{home}/.config" if home else "")
    return Path(root) / "ollamapy" if root else None


def _key_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    home = _Environment(environ).read("HOME", str, "")
    ollamas = (Path(home) / ".ollama" / "id_ed25519",) if home else ()
    own = config_dir(environ)
    return (*ollamas, own / "id_ed25519") if own else ollamas


def _read_proxies(env: _Environment) -> Proxies:
    return Proxies(
        https=env.read("HTTPS_PROXY", _parse_proxy, "") or env.read("https_proxy", _parse_proxy, ""),
        http=env.read("HTTP_PROXY", _parse_proxy, "") or env.read("http_proxy", _parse_proxy, ""),
        bypass=env.read("NO_PROXY", str, "") or env.read("no_proxy", str, ""),
    )


def _parse_proxy(text: str) -> str:
    """Read a proxy's URL, which may lack its http://; raises ValueError with what is expected."""
    url = text if "://" in text else f"http://{text}"
    try:
        _registry(url)
    except ValueError as exc:
        raise ValueError("http://[user:password@]host:port") from exc
    return url.rstrip("/")


class _Environment:
    """A mapping of variables whose bad values become errors with the variable's name."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def read(self, key: str, parse: Callable[[str], T], default: D) -> T | D:
        text = self._environ.get(key, "").strip().strip("\"'").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as exc:
            value = "the value" if _SECRET.search(key) else f'"{text[:80]}"'
            raise ConfigError(key, f"{value} is not valid; expected {exc}") from exc


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


def _parse_seconds(text: str) -> float:
    if _INTEGER.fullmatch(text):
        return math.inf if int(text) < 0 else float(text)
    try:
        return parse_duration(text)
    except InvalidInputError as exc:
        raise ValueError(f"a duration such as 5m or 1h30m, or a number of seconds ({exc})") from exc


def _parse_timeout(text: str) -> float:
    return _parse_seconds(text) or math.inf


def _parse_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("a whole number from 0 to 999999999")
    return int(text)


def _parse_bool(text: str) -> bool:
    if text in _TRUE_WORDS:
        return True
    if text in _FALSE_WORDS:
        return False
    raise ValueError("true or false (or 1, 0, t, f)")


def _parse_debug(text: str) -> int:
    return _parse_count(text) if text.isascii() and text.isdigit() else int(_parse_bool(text))


def _parse_flash_attention(text: str) -> FlashAttention:
    if text.lower() in ("auto", "on", "off"):
        return cast(FlashAttention, text.lower())
    if text in _TRUE_WORDS or text in _FALSE_WORDS:
        return "on" if text in _TRUE_WORDS else "off"
    raise ValueError("auto, on or off (or true, false, 1, 0)")


def _parse_kv_cache_type(text: str) -> KvCacheType:
    if text.lower() not in _KV_CACHE_TYPES:
        raise ValueError("f32, f16, q8_0 or q4_0")
    return cast(KvCacheType, text.lower())


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


def _parse_folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as exc:
        raise ValueError("the path of a folder; the home folder behind ~ is unknown") from exc


def _parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match or int(match[1]) == 0:
        raise ValueError("a size in bytes, or with K, M or G behind it")
    return int(match[1]) * _UNIT_BYTES[match[2].lower()]


def _read_registries(env: _Environment, environ: Mapping[str, str]) -> tuple[Registry, ...]:
    """Return the registries of the file, and those of the variable over them."""
    config = config_dir(environ)
    default = config / "registries.toml" if config else None
    key = "OLLAMAPY_REGISTRIES_FILE"
    path = env.read(key, _parse_folder, default)
    found: dict[str, Registry] = {}
    if path is not None:
        try:
            found = {entry.host: entry for entry in _parse_table(path.read_text("utf-8"))}
        except FileNotFoundError as exc:
            if path != default:
                raise ConfigError(key, "there is no such file") from exc
        except (OSError, ValueError) as exc:
            told = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(key, f"the file {path.name} is not valid: {told}") from exc
    given = env.read("OLLAMAPY_REGISTRIES", _parse_registries, ())
    found.update((entry.host, entry) for entry in given)
    return tuple(found.values())


def _parse_registries(text: str) -> tuple[Registry, ...]:
    entries = []
    for item in _parse_list(text):
        host, separator, url = item.rpartition("=")
        entries.append(_registry(url, host if separator and "://" not in host else ""))
    return tuple(entries)


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


def _parse_table(text: str) -> tuple[Registry, ...]:
    """Read a TOML file: `[registries."host:port"]` with any of the fields of Registry; raises ValueError."""
    table = tomllib.loads(text).get("registries", {})
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise ValueError('expected a table [registries."host"] for each registry')
    return tuple(_parse_row(host, row) for host, row in table.items())


def _parse_row(host: str, row: Mapping[str, object]) -> Registry:
    switches, others = ("insecure", "ollama_key"), ("insecure", "url", "mirror")
    known = {"insecure", "mirror", *(item.name for item in fields(Registry))} - {"host"}
    for name, value in row.items():
        if name not in known or not isinstance(value, bool if name in switches else str):
            expected = f"one of {', '.join(sorted(known))}, text all but {' and '.join(switches)}"
            raise ValueError(f"{name} of {host}: expected {expected}")
    given = {name: value for name, value in row.items() if name not in others}
    url = str(row.get("mirror") or row.get("url") or f"{'http' if row.get('insecure') else 'https'}://{host}")
    return replace(_registry(url, host), **given)  # type: ignore[arg-type]


def _parse_endpoint(text: str) -> str:
    return _registry(text).url
