"""Where each setting's value comes from: the environment, the configuration file or the table's default."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ollamapy.config.registries import Registry, closest, registry_of
from ollamapy.config.settings import ROWS, VARIABLES, Row, Settings
from ollamapy.config.values import Supervisor, default_state_dir, parse_folder, parse_presence
from ollamapy.errors import ConfigError

DEFAULT_ORIGIN = "default"
PREFIXES = ("OLLAMA_", "OLLAMAPY_")
REGISTRIES = "registries"
FOREIGN: Mapping[str, str] = {
    "OLLAMA_NO_CLOUD": "there is no cloud here",
    "OLLAMA_REMOTES": "there is no cloud here",
    "OLLAMA_CLOUD_BASE_URL": "there is no cloud here",
    "OLLAMA_AUTH": "keys are OLLAMA_API_KEY and OLLAMAPY_API_KEYS here",
    "OLLAMA_EXPERIMENT": "it names no experiment any more",
    "OLLAMA_LLAMA_CPP_COMPAT": "llama.cpp is not patched here",
    "OLLAMAPY_TEST_MODELS": "it is for the tests of ollamapy",
}
"""Variables that may well be set and mean nothing here, with the reason."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it was found. `text` is as the user wrote it, and hidden where it is a secret."""

    key: str
    text: str
    origin: str
    about: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found. A problem is a value or a key that is no good; a warning is about what has no effect."""

    settings: Settings
    values: tuple[Value, ...]
    problems: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    path: Path | None


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings; raises ConfigError, which names the variable or key, its value and what is expected.

    What the environment says counts before the file, and that before the default. Secrets are never quoted.
    """
    reading = inspect_settings(environ)
    if reading.problems:
        raise reading.problems[0]
    return reading.settings


def inspect_settings(environ: Mapping[str, str]) -> Reading:
    """Read all settings and say where each comes from; a value that is no good is told, and the default taken."""
    problems: list[ConfigError] = []
    path = config_path(environ, problems)
    table = _read_file(path, environ, problems)
    found: dict[str, Any] = {}
    values = []
    for name, row in ROWS.items():
        text, origin = _find_text(row, environ, table, path)
        try:
            found[name] = row.parse(text)
        except ValueError as exc:
            shown = "the value" if row.is_secret else f'"{text[:80]}"'
            told = "" if origin in row.variables else f" (in {path})"
            key = origin if origin in row.variables else row.key
            problems.append(ConfigError(key, f"{shown} is not valid; expected {exc}{told}"))
        values.append(Value(row.key, "(set)" if row.is_secret and text else text, origin, row.about))
    found[REGISTRIES] = _merge_registries(table.get(REGISTRIES, {}), found.get(REGISTRIES, ()), problems)
    _check_keys(table, path, problems)
    warnings = (*_strangers(environ), *_loose_file(path, table))
    found["key_files"] = _key_files(environ)
    if not found.get("state_dir"):
        found["state_dir"] = default_state_dir()
        values = [replace(v, text=str(found["state_dir"])) if v.key == "state_dir" else v for v in values]
    folder = config_dir(environ)
    found["supervisor"] = _supervisor(environ)
    found["credentials_file"] = folder / "credentials.json" if folder else None
    return Reading(Settings(**found), _with_registries(values, table, path), tuple(problems), warnings, path)


def config_dir(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of this program's configuration files; None where the environment names none."""
    home = _clean(environ.get("HOME", ""))
    root = _clean(environ.get("XDG_CONFIG_HOME", "")) or (f"{home}/.config" if home else "")
    return Path(root) / "ollamapy" if root else None


def _key_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    home, own = _clean(environ.get("HOME", "")), config_dir(environ)
    ollamas = (Path(home) / ".ollama" / "id_ed25519",) if home else ()
    return (*ollamas, own / "id_ed25519") if own else ollamas


def config_path(environ: Mapping[str, str], problems: list[ConfigError]) -> Path | None:
    """Return where the configuration file is or would be; None where no home folder is known."""
    folder = config_dir(environ)
    default = folder / "config.toml" if folder else None
    given = _clean(environ.get("OLLAMAPY_CONFIG", ""))
    try:
        return parse_folder(given) if given else default
    except ValueError as exc:
        problems.append(ConfigError("OLLAMAPY_CONFIG", f'"{given[:80]}" is not valid; expected {exc}'))
        return None


def _read_file(path: Path | None, environ: Mapping[str, str], problems: list[ConfigError]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if _clean(environ.get("OLLAMAPY_CONFIG", "")):
            problems.append(ConfigError("OLLAMAPY_CONFIG", f"there is no file {path}"))
    except (OSError, ValueError) as exc:
        told = exc.strerror if isinstance(exc, OSError) else exc
        problems.append(ConfigError(str(path), f"the configuration file can't be read: {told}"))
    return {}


def _clean(text: str) -> str:
    return text.strip().strip("\"'").strip()


def service_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of settings that are set, for a service that shall run with them."""
    named = {name for row in ROWS.values() for name in row.variables} - {"NO_COLOR", "OLLAMA_API_KEY"}
    return {name: text for name in (*named, "OLLAMAPY_CONFIG") if (text := _clean(environ.get(name, "")))}


def _supervisor(environ: Mapping[str, str]) -> Supervisor:
    numbers = [environ.get(name, "") for name in ("LISTEN_PID", "LISTEN_FDS")]
    process_id, n_sockets = (int(text) if text.isascii() and text.isdecimal() else 0 for text in numbers)
    return Supervisor(_clean(environ.get("NOTIFY_SOCKET", "")), process_id, n_sockets)


def _find_text(row: Row, environ: Mapping[str, str], table: Mapping[str, Any], path: Path | None) -> tuple[str, str]:
    for name in row.variables:
        if text := _clean(environ.get(name, "")):
            return text, name
    if row.key in table and row.key != REGISTRIES and (text := _text_of(row, table[row.key])):
        return text, str(path)
    return row.default(), DEFAULT_ORIGIN


def _text_of(row: Row, value: object) -> str:
    """Return a value of TOML as it would stand in the variable."""
    if isinstance(value, bool):
        return "" if row.parse is parse_presence and not value else str(value).lower()
    if isinstance(value, dict):
        return ""  # told by the check of the keys
    if isinstance(value, list):
        return ",".join(_text_of(row, item) for item in value)
    return _clean(str(value))


def _merge_registries(rows: object, given: tuple[Registry, ...], problems: list[ConfigError]) -> tuple[Registry, ...]:
    """Return the registries of the file, and those of the variable over them."""
    found: dict[str, Registry] = {}
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        problems.append(ConfigError(REGISTRIES, 'expected a table [registries."host"] for each registry'))
        rows = {}
    for host, row in rows.items():
        try:
            registry = registry_of(host, row)
            found[registry.host] = registry
        except ConfigError as exc:
            problems.append(exc)
    found.update((entry.host, entry) for entry in given)
    return tuple(found.values())


def _check_keys(table: Mapping[str, Any], path: Path | None, problems: list[ConfigError]) -> None:
    known = {row.key for row in ROWS.values()}
    for key, value in table.items():
        if key not in known:
            problems.append(ConfigError(key, f"there is no such setting{closest(key, known)} (in {path})"))
        elif isinstance(value, dict) and key != REGISTRIES:
            problems.append(ConfigError(key, f"expected a value, not a table (in {path})"))


def _strangers(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like one of ours or Ollama's and has no effect."""
    strange = sorted(name for name in environ if name.startswith(PREFIXES) and name not in VARIABLES)
    return [
        f"{name} has no effect: {FOREIGN[name]}"
        if name in FOREIGN
        else f"{name} is no variable of ollamapy{closest(name, VARIABLES)}"
        for name in strange
    ]


def _loose_file(path: Path | None, table: Mapping[str, Any]) -> list[str]:
    """Return a line about a file with secrets that others can read."""
    has_secret = any(row.is_secret and row.key in table for row in ROWS.values())
    if path is None or not has_secret or not path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return []
    return [f"{path} holds secrets and can be read by others; chmod 600 {path}"]


def _with_registries(values: list[Value], table: Mapping[str, Any], path: Path | None) -> tuple[Value, ...]:
    """Return the values, with the file named where registries come from there."""
    if not table.get(REGISTRIES):
        return tuple(values)
    origins = {DEFAULT_ORIGIN: str(path)}
    return tuple(
        Value(v.key, "(set)", origins.get(v.origin, f"{v.origin}, {path}"), v.about) if v.key == REGISTRIES else v
        for v in values
    )
