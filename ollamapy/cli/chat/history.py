"""The file of what was typed at the prompt: a JSON string per line, the newest last, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import platformdirs

MOST_ENTRIES = 1000
MODE = 0o600


def history_path() -> Path:
    """Return where the file is."""
    return platformdirs.user_state_path("ollamapy", appauthor=False) / "history"


def read_entries(path: Path) -> list[str]:
    """Return what was typed, the oldest first; lines that are no JSON text are passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [entry for line in lines if (entry := _decoded(line))][-MOST_ENTRIES:]


def append_entry(path: Path, text: str) -> None:
    """Add what was typed; a file that can't be written is as good as none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _shorten(path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE), "ab") as sink:
            sink.write(msgspec.json.encode(text) + b"\n")
    except OSError:
        return


def _shorten(path: Path) -> None:
    """Drop the older half once there is twice as much as is ever read."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if len(lines) < 2 * MOST_ENTRIES:
        return
    shorter = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(shorter, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "wb") as sink:
        sink.writelines(lines[-MOST_ENTRIES:])
    shorter.replace(path)


def _decoded(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=str)
    except msgspec.DecodeError:
        return ""
