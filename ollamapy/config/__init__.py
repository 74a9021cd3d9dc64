"""The settings of daemon and client, read once from the environment and a file; no other unit looks at them.

Values are read as Ollama reads its own: blanks and quotes around a value do not count, an empty value is an absent one,
booleans are Go's words. Unlike in Ollama, a bad value is an error that names its variable or its key in the file.
"""

from ollamapy.config.folders import SourceFolders, source_folders
from ollamapy.config.read import Reading, Value, config_dir, inspect_settings, read_settings, service_environment
from ollamapy.config.registries import Proxies, Registry
from ollamapy.config.settings import DEFAULT_HF_ENDPOINT, VARIABLES, Settings
from ollamapy.config.values import (
    DEFAULT_PORT,
    FlashAttention,
    HostAddress,
    KvCacheType,
    Supervisor,
    default_models_dir,
    parse_duration,
    parse_host,
)
from ollamapy.config.waiting import chooses_waiting

__all__ = [
    "DEFAULT_HF_ENDPOINT",
    "DEFAULT_PORT",
    "VARIABLES",
    "FlashAttention",
    "HostAddress",
    "KvCacheType",
    "Proxies",
    "Reading",
    "Registry",
    "Settings",
    "SourceFolders",
    "Supervisor",
    "Value",
    "chooses_waiting",
    "config_dir",
    "default_models_dir",
    "inspect_settings",
    "parse_duration",
    "parse_host",
    "read_settings",
    "service_environment",
    "source_folders",
]
