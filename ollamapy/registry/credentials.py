"""What `login` keeps: a file of users, passwords and tokens by registry, which its owner alone can read.

It is JSON: `{"reg.example": {"username": "me", "password": "secret"}, "hf.co": {"token": "hf_…"}}`.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp

import msgspec

from ollamapy.errors import ConfigError

NAME = "credentials.json"
MAX_FILE_BYTES = 1 << 20


class Credential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user with a password, or a token."""

    username: str = ""
    password: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"<Credential of {self.username}>" if self.username else "<Credential>"


class CredentialsFile:
    """The file, read anew each time, so that a login needs no restart. Methods block and raise ConfigError."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find(self, host: str) -> Credential | None:
        """Return what is kept for a registry."""
        return self._read().get(host.lower())

    def put(self, host: str, credential: Credential) -> None:
        """Keep a credential, in place of an older one of that registry."""
        with self._locked() as path:
            _write(path, {**self._read(), host.lower(): credential})

    def remove(self, host: str) -> bool:
        """Forget a registry's credential and tell whether there was one."""
        with self._locked() as path:
            kept = self._read()
            was_there = kept.pop(host.lower(), None) is not None
            if was_there:
                _write(path, kept)
            return was_there

    def _read(self) -> dict[str, Credential]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise ConfigError(NAME, "other users may read this file; `chmod 600` on it keeps it to you")
                return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=dict[str, Credential])
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise ConfigError(NAME, f"can't be read: {(exc.strerror or 'unknown error').lower()}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ConfigError(NAME, "is damaged; remove it and log in again") from exc

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """Yield the file's path while no other process changes it."""
        if self._path is None:
            raise ConfigError(NAME, "there is no folder for it; set HOME or XDG_CONFIG_HOME")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield self._path
            finally:
                os.close(folder)
        except OSError as exc:
            raise ConfigError(NAME, f"can't be written: {(exc.strerror or 'unknown error').lower()}") from exc


def _write(path: Path, kept: dict[str, Credential]) -> None:
    """Write the file as a whole; mkstemp makes files that their owner alone can read."""
    file, name = mkstemp(prefix=f".{NAME}-", dir=path.parent)
    try:
        with os.fdopen(file, "wb") as content:
            content.write(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
            content.flush()
            os.fsync(content.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
