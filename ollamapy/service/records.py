"""What a service is made of: the wish, the files that fulfil it, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollamapy.errors import ServiceError

NAME = "ollamapy"
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/Users"))  # closed to a service of the system


@dataclass(frozen=True, slots=True)
class Installation:
    """What shall run as a service, and where its parts are.

    `command` starts the daemon. `environment` has the settings that were set when the service was installed. `listen`
    are addresses that the supervisor listens on for the daemon, which then starts with the first request; empty where
    the daemon does so itself. A service of the system runs as `user`, who must be able to read the `folders` in which
    the program and its interpreter are.
    """

    command: tuple[str, ...]
    folders: tuple[Path, ...]
    environment: Mapping[str, str]
    home: Path
    config_home: Path
    is_system: bool = False
    user: str = NAME
    listen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """A file of the service. A private one holds settings, secrets perhaps, and is for its owner alone."""

    path: Path
    text: str
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The files to write, the main one last or before its socket, and the names that the supervisor starts."""

    files: tuple[ServiceFile, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How the service is: its main file, None where it is not installed, and what the supervisor says of it."""

    path: Path | None
    state: str
    process_id: int = 0
    at_boot: bool = False


def check_reachable(installation: Installation) -> None:
    """Raise ServiceError where a service of the system could not read the program that it has to run."""
    needed = (Path(installation.command[0]), *installation.folders)
    found = [path for path in needed if any(path.is_relative_to(folder) for folder in HIDDEN)]
    if installation.is_system and found:
        raise ServiceError(
            f"a service of the system can't use {found[0]}, since home folders are closed to it; install for all users "
            "first, with `sudo ./install.sh`, or leave out --system for a service of your own"
        )


def not_installed(installation: Installation) -> ServiceError:
    """Return the error of a service that is to be steered and is not there."""
    flag = " --system" if installation.is_system else ""
    return ServiceError(f"the service is not installed; `ollamapy service install{flag}` does that")
