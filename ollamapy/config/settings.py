"""The table of all settings: each field of `Settings` is a row with its variable, its default and what it means.

The default stands as text, as a user would write it. In the configuration file a setting has the variable's name in
lower case without its prefix: `OLLAMA_KEEP_ALIVE` is `keep_alive` there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ollamapy.config.registries import Proxies, Registry, parse_endpoint, parse_proxy, parse_registries
from ollamapy.config.values import (
    FlashAttention,
    HostAddress,
    KvCacheType,
    Supervisor,
    default_models_dir,
    parse_bool,
    parse_choice,
    parse_count,
    parse_debug,
    parse_flash_attention,
    parse_folder,
    parse_host,
    parse_kv_cache_type,
    parse_list,
    parse_model_names,
    parse_optional,
    parse_optional_folder,
    parse_presence,
    parse_room,
    parse_seconds,
    parse_size,
    parse_streams,
    parse_timeout,
)

DEFAULT_HF_ENDPOINT = "https://huggingface.co"
T = TypeVar("T")
_ROW = "row"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting. The first of its `variables` that is set counts; `parse` raises ValueError with what is expected."""

    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Callable[[], str]
    about: str
    is_secret: bool

    @property
    def key(self) -> str:
        """The name in the configuration file."""
        return self.variables[0].removeprefix("OLLAMAPY_").removeprefix("OLLAMA_").lower()


def setting(
    variables: str, parse: Callable[[str], T], default: str | Callable[[], str], about: str, *, is_secret: bool = False
) -> T:
    """Declare a field of `Settings`; variables are separated by blanks, the one that counts most comes first."""
    text = default if callable(default) else lambda: default
    row = Row(tuple(variables.split()), parse, text, about, is_secret)
    return field(default_factory=lambda: parse(text()), repr=not is_secret, metadata={_ROW: row})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Durations may be math.inf; a limit of 0 is chosen by the part that it limits."""

    host: HostAddress = setting("OLLAMA_HOST", parse_host, "127.0.0.1:11434", "address to serve on and to connect to")
    models_dir: Path = setting(
        "OLLAMA_MODELS", parse_folder, lambda: str(default_models_dir()), "folder of the model store"
    )
    keep_alive_seconds: float = setting(
        "OLLAMA_KEEP_ALIVE",
        parse_seconds,
        "5m",
        "how long an idle model stays loaded: a duration or seconds; negative is forever",
    )
    load_timeout_seconds: float = setting(
        "OLLAMA_LOAD_TIMEOUT", parse_timeout, "5m", "how long a load may make no progress; 0 is without limit"
    )
    step_timeout_seconds: float = setting(
        "OLLAMAPY_STEP_TIMEOUT",
        parse_timeout,
        "5m",
        "how long a worker that answers may make no progress; 0 is without limit",
    )
    max_loaded_models: int = setting(
        "OLLAMA_MAX_LOADED_MODELS",
        parse_count,
        "0",
        "most models loaded at once; 0: three for each GPU, three without one",
    )
    preload: tuple[str, ...] = setting(
        "OLLAMAPY_PRELOAD", parse_model_names, "", "models that are loaded at the start, separated by commas"
    )
    pin: tuple[str, ...] = setting(
        "OLLAMAPY_PIN",
        parse_model_names,
        "",
        "models that are loaded at the start and never make room for others, separated by commas",
    )
    gpu_overhead_bytes: int = setting(
        "OLLAMA_GPU_OVERHEAD", parse_room, "0", "memory to leave free on each GPU, such as 1G"
    )
    sched_spread: bool = setting(
        "OLLAMA_SCHED_SPREAD", parse_bool, "false", "spread each model over all GPUs, also where one would do"
    )
    igpu_enable: bool | None = setting(
        "OLLAMA_IGPU_ENABLE", parse_choice, "", "true or false: use integrated GPUs (default: where they help)"
    )
    vulkan: bool = setting("OLLAMA_VULKAN", parse_bool, "true", "use GPUs through Vulkan")
    llm_library: str = setting(
        "OLLAMA_LLM_LIBRARY", str, "", "the only library whose GPUs are used, such as cuda or vulkan (default: all)"
    )
    num_parallel: int = setting(
        "OLLAMA_NUM_PARALLEL",
        parse_count,
        "0",
        "most requests that one model answers at once; 0: as many as suit the machine, on a CPU 32 at most",
    )
    max_queue: int = setting(
        "OLLAMA_MAX_QUEUE", parse_count, "512", "most requests that wait for a model before others are refused"
    )
    context_length: int = setting(
        "OLLAMA_CONTEXT_LENGTH", parse_count, "0", "default context length in tokens; 0: by memory"
    )
    origins: tuple[str, ...] = setting(
        "OLLAMA_ORIGINS", parse_list, "", "further allowed browser origins, separated by commas"
    )
    flash_attention: FlashAttention = setting(
        "OLLAMA_FLASH_ATTENTION", parse_flash_attention, "auto", "force flash attention on or off"
    )
    kv_cache_type: KvCacheType = setting(
        "OLLAMA_KV_CACHE_TYPE", parse_kv_cache_type, "f16", "type of the KV cache: f32, f16, q8_0 or q4_0"
    )
    speculative: bool = setting(
        "OLLAMAPY_SPECULATIVE",
        parse_bool,
        "true",
        "guess tokens ahead where checking several at once is faster",
    )
    go_template: bool | None = setting(
        "OLLAMA_GO_TEMPLATE",
        parse_choice,
        "",
        "true or false: whether a model's own Go template counts before its file's Jinja one "
        "(default: the one that offers more)",
    )
    no_prune: bool = setting("OLLAMA_NOPRUNE", parse_bool, "false", "keep blobs that no model uses any more")
    no_history: bool = setting("OLLAMA_NOHISTORY", parse_bool, "false", "keep no history of the interactive prompt")
    drain_seconds: float = setting(
        "OLLAMAPY_DRAIN_TIMEOUT",
        parse_seconds,
        "5s",
        "how long a daemon that shall end lets running answers go on: a duration or seconds",
    )
    editor: str = setting(
        "OLLAMA_EDITOR VISUAL EDITOR", str, "", "what Ctrl-G in a chat opens the message with; else VISUAL, EDITOR"
    )
    debug: int = setting("OLLAMA_DEBUG", parse_debug, "0", "log more: 1 for debug, 2 for trace")
    no_color: bool = setting("NO_COLOR", parse_presence, "", "print without colours if set to anything")
    api_key: str | None = setting(
        "OLLAMA_API_KEY", parse_optional, "", "key that the client sends to the daemon", is_secret=True
    )
    api_keys: tuple[str, ...] = setting(
        "OLLAMAPY_API_KEYS",
        parse_list,
        "",
        "keys that the daemon accepts, separated by commas; none: no key is asked for",
        is_secret=True,
    )
    inference_keys: tuple[str, ...] = setting(
        "OLLAMAPY_INFERENCE_KEYS",
        parse_list,
        "",
        "further keys, which may ask models but not pull, create, copy or delete any, separated by commas",
        is_secret=True,
    )
    allowed_hosts: tuple[str, ...] = setting(
        "OLLAMAPY_ALLOWED_HOSTS",
        parse_list,
        "",
        "further host names that requests may be addressed to, separated by commas",
    )
    insecure_bind: bool = setting(
        "OLLAMAPY_INSECURE_BIND", parse_bool, "false", "serve on other addresses than loopback although no key is set"
    )
    registries: tuple[Registry, ...] = setting(
        "OLLAMAPY_REGISTRIES",
        parse_registries,
        "",
        "registries to pull from and push to, separated by commas: https://[user:password@]host[:port], http:// for "
        "one without TLS, host=URL for a mirror",
        is_secret=True,
    )
    offline: bool = setting("OLLAMAPY_OFFLINE", parse_bool, "false", "never connect to a registry")
    max_rate_bytes: int = setting(  # per second
        "OLLAMAPY_MAX_RATE",
        parse_room,
        "0",
        "most bytes per second that pulls and pushes take, such as 20M; 0: all there are",
    )
    hf_token: str = setting("HF_TOKEN", str, "", "token for Hugging Face", is_secret=True)
    hf_endpoint: str = setting(
        "HF_ENDPOINT", parse_endpoint, DEFAULT_HF_ENDPOINT, "address of Hugging Face or a mirror of it"
    )
    max_transfer_streams: int = setting(
        "OLLAMA_MAX_TRANSFER_STREAMS", parse_streams, "8", "parts of a blob that are fetched at once"
    )
    debug_log_requests: bool = setting(
        "OLLAMA_DEBUG_LOG_REQUESTS", parse_bool, "false", "write the bodies of requests to files that only you can read"
    )
    https_proxy: str = setting(
        "HTTPS_PROXY https_proxy",
        parse_proxy,
        "",
        "proxy for https:// registries: http://[user:password@]host:port",
        is_secret=True,
    )
    http_proxy: str = setting("HTTP_PROXY http_proxy", parse_proxy, "", "proxy for http:// registries", is_secret=True)
    no_proxy: str = setting(
        "NO_PROXY no_proxy",
        str,
        "",
        "hosts that are reached without a proxy, separated by commas; this machine always is",
    )
    state_bytes: int = setting(
        "OLLAMAPY_STATE_SIZE",
        parse_room,
        "1G",
        "most bytes of known prompts that are kept on disk while their model is not loaded, such as 500M; 0: none",
    )
    state_dir: Path | None = setting(
        "OLLAMAPY_STATE_DIR",
        parse_optional_folder,
        "",
        "folder of known prompts of models that are not loaded (default: in the platform's cache folder)",
    )
    max_body_bytes: int = setting("OLLAMAPY_MAX_BODY", parse_size, "64M", "largest JSON request body, such as 64M")
    credentials_file: Path | None = None  # what `login` writes; None where no folder is known for it
    key_files: tuple[Path, ...] = ()  # where the ed25519 key is looked for; the last is where one is made

    supervisor: Supervisor = field(default_factory=Supervisor)

    @property
    def proxies(self) -> Proxies:
        """The proxies for registries."""
        return Proxies(self.https_proxy, self.http_proxy, self.no_proxy)


ROWS: Mapping[str, Row] = {item.name: item.metadata[_ROW] for item in fields(Settings) if _ROW in item.metadata}
"""The rows of the table by the field's name."""

_PLACES = {
    "OLLAMAPY_CONFIG": "the configuration file (default ollamapy/config.toml in XDG_CONFIG_HOME)",
    "XDG_CONFIG_HOME": "folder of configuration files (default ~/.config)",
    "NOTIFY_SOCKET": "where the daemon tells its supervisor that it is ready (systemd sets it)",
    "LISTEN_FDS": "how many listening sockets the supervisor passes on (systemd sets it)",
    "LISTEN_PID": "the process that they are for (systemd sets it)",
    "HOME": "the home folder, where XDG_CONFIG_HOME is not set, and where Ollama's own key is looked for",
}  # variables that say where the configuration file is

VARIABLES: Mapping[str, str] = {
    row.variables[0]: row.about
    + (f" (default {row.default()})" if row.default() and row.variables[0] != "OLLAMA_MODELS" else "")
    for row in ROWS.values()
} | _PLACES
"""What each environment variable means."""
