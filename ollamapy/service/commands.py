"""The effects of a service: commands of its supervisor, and files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ollamapy.errors import ServiceError
from ollamapy.service.records import ServiceFile

NOT_FOUND = 127


def attempt(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command and return what came of it; a missing program is one that failed."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - words of our own
    except FileNotFoundError:
        return subprocess.CompletedProcess(list(words), NOT_FOUND, "", f"{words[0]} is not installed")


def run(words: Sequence[str], *, is_system: bool) -> str:
    """Run a command; returns what was run. Raises ServiceError with what it said and what to do."""
    done = attempt(words)
    if done.returncode:
        raise failure(words, done.stderr, is_system=is_system)
    return f"Ran {' '.join(words)}"


def failure(words: Sequence[str], said: str, *, is_system: bool) -> ServiceError:
    """Return the error of a command that failed."""
    text = said.strip().splitlines()[0] if said.strip() else "it said nothing"
    if os.getuid() and is_system:
        text += "; a service of the system takes root: run the command with sudo"
    elif "connect to bus" in said:
        text += "; log in as this user directly, not by su or sudo, or use --system"
    elif "See " in said:
        text += "; `ollamapy service logs` tells why"
    return ServiceError(f"`{' '.join(words)}` failed: {text}")


def write_file(file: ServiceFile) -> None:
    """Write a file in one piece; raises ServiceError."""
    mode = 0o600 if file.is_private else 0o644
    draft = file.path.with_name(f".{file.path.name}.new")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as sink:
            os.fchmod(sink.fileno(), mode)
            sink.write(file.text)
        draft.replace(file.path)
    except OSError as exc:
        remedy = "; a service of the system takes root: run the command with sudo" if os.getuid() else ""
        raise ServiceError(f"can't write {file.path}: {exc.strerror}{remedy}") from exc
