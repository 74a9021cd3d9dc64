"""The seam between the command and the supervisor of the machine."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ollamapy.errors import ServiceError
from ollamapy.service.launchd import Launchd
from ollamapy.service.records import Installation, Plan, Status
from ollamapy.service.systemd import Systemd

BOOTED = Path("/run/systemd/system")  # sd_booted(3)


class Control(Protocol):
    """The service under one supervisor. Each step raises ServiceError with the remedy."""

    @property
    def plan(self) -> Plan:
        """The files that an installation writes."""

    def install(self) -> Iterator[str]:
        """Make the service, start it and have it start at boot; yields what was done."""

    def uninstall(self) -> Iterator[str]:
        """Stop and remove the service; yields what was done. Models and settings stay."""

    def start(self) -> str:
        """Start the service; returns what was run."""

    def stop(self) -> str:
        """Stop the service; returns what was run."""

    def restart(self) -> str:
        """Stop and start the service; returns what was run."""

    def status(self) -> Status:
        """Return how the service is."""

    def log_command(self, lines: int, *, follow: bool) -> list[str]:
        """Return the command that shows the log."""

    def hint(self) -> str | None:
        """Return what is still to do for the service to run at boot, if anything is."""


def find_control(installation: Installation, *, must_run: bool = True) -> Control:
    """Return the control for this machine's supervisor; raises ServiceError where none runs that could be asked."""
    if sys.platform == "darwin":
        return Launchd(installation)
    if must_run and not (BOOTED.exists() and shutil.which("systemctl")):
        raise ServiceError(
            "this machine is run by neither systemd nor launchd; have its own supervisor run `ollamapy serve`, or see "
            "with `ollamapy service install --dry-run` what a unit of systemd would be"
        )
    return Systemd(installation)
