"""The service under systemd, of a user or of the system."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from ollamapy.service.commands import attempt, failure, run, write_file
from ollamapy.service.records import NAME, Installation, Plan, Status, check_reachable, not_installed
from ollamapy.service.units import STATE, plan_units

SERVICE, SOCKET = f"{NAME}.service", f"{NAME}.socket"
LINGER = Path("/var/lib/systemd/linger")  # has a file for each user whose services run without a login


class Systemd:
    """Installs and steers the units."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._folder = plan_units(installation).files[-1].path.parent

    @property
    def plan(self) -> Plan:
        """The files that an installation writes."""
        return plan_units(self._installation)

    def install(self) -> Iterator[str]:
        """Write the units, start them and have them start at boot; yields what was done. Raises ServiceError."""
        check_reachable(self._installation)
        if self._installation.is_system:
            yield from self._add_user()
        if not self._installation.listen and self._has(SOCKET):
            yield from self._remove(SOCKET)
        for file in self.plan.files:
            write_file(file)
            yield f"Wrote {file.path}"
        yield self._run("daemon-reload")
        yield self._run("enable", *self.plan.units)
        if self._installation.listen:
            yield self._run("stop", SERVICE)
        yield self._run("restart", *self.plan.units)

    def uninstall(self) -> Iterator[str]:
        """Stop the units and remove them; yields what was done. Models and settings stay."""
        for unit in (SOCKET, SERVICE):
            if self._has(unit):
                yield from self._remove(unit)
        yield self._run("daemon-reload")

    def start(self) -> str:
        """Start the service, or begin to wait for its first request; returns what was run."""
        return self._run("start", self._main_unit())

    def stop(self) -> str:
        """Stop the service, and its socket, which would start it again."""
        return self._run("stop", *dict.fromkeys((self._main_unit(), SERVICE)))

    def restart(self) -> str:
        """Stop and start the service."""
        self._main_unit()
        return self._run("restart", SERVICE)

    def status(self) -> Status:
        """Return how the service is; raises ServiceError where systemd can't be asked."""
        if not self._has(SERVICE):
            return Status(None, "not installed")
        words = self._words("show", SERVICE, "--property", "ActiveState,SubState,MainPID,UnitFileState")
        found = attempt(words)
        fields = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
        if found.returncode or not fields:
            raise failure(words, found.stderr, is_system=self._installation.is_system)
        waits = self._has(SOCKET) and fields["ActiveState"] == "inactive"
        state = "waiting for a request" if waits else f"{fields['ActiveState']} ({fields['SubState']})"
        at_boot = self._has(SOCKET) or fields["UnitFileState"] == "enabled"
        return Status(self._folder / SERVICE, state, int(fields["MainPID"]), at_boot and self._lingers())

    def log_command(self, lines: int, *, follow: bool) -> list[str]:
        """Return the command that shows the log."""
        self._main_unit()
        unit = "--unit" if self._installation.is_system else "--user-unit"
        more = ["--follow"] if follow else []
        return ["journalctl", unit, SERVICE, "--lines", str(lines), "--output", "cat", *more]

    def hint(self) -> str | None:
        """Return what is still to do for the service to run at boot."""
        if self._lingers():
            return None
        return "It runs while you are logged in; `loginctl enable-linger` has it start at boot"

    def _lingers(self) -> bool:
        return self._installation.is_system or (LINGER / pwd.getpwuid(os.getuid()).pw_name).exists()

    def _main_unit(self) -> str:
        """Return the unit to start; raises ServiceError where there is none."""
        if not self._has(SERVICE):
            raise not_installed(self._installation)
        return SOCKET if self._has(SOCKET) else SERVICE

    def _has(self, unit: str) -> bool:
        return (self._folder / unit).exists()

    def _remove(self, unit: str) -> Iterator[str]:
        yield self._run("disable", "--now", unit)
        (self._folder / unit).unlink(missing_ok=True)
        yield f"Removed {self._folder / unit}"

    def _add_user(self) -> Iterator[str]:
        user = self._installation.user
        try:
            pwd.getpwnam(user)
        except KeyError:
            words = ["useradd", "--system", "--user-group", "--home-dir", str(STATE), "--shell", "/usr/sbin/nologin"]
            yield run([*words, user], is_system=True)

    def _words(self, *words: str) -> list[str]:
        return ["systemctl", *([] if self._installation.is_system else ["--user"]), *words]

    def _run(self, *words: str) -> str:
        return run(self._words(*words), is_system=self._installation.is_system)
