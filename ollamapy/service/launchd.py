"""The service under launchd: an agent of one user, or a daemon of the Mac."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from ollamapy.errors import ServiceError
from ollamapy.service.commands import attempt, run, write_file
from ollamapy.service.property_list import LABEL, log_path, plan_agent
from ollamapy.service.records import Installation, Plan, Status, check_reachable, not_installed


class Launchd:
    """Installs and steers the agent."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._path: Path = plan_agent(installation).files[-1].path
        self._domain = "system" if installation.is_system else f"gui/{os.getuid()}"
        self._target = f"{self._domain}/{LABEL}"

    @property
    def plan(self) -> Plan:
        """The files that an installation writes."""
        return plan_agent(self._installation)

    def install(self) -> Iterator[str]:
        """Write the property list and load it; yields what was done. Raises ServiceError."""
        check_reachable(self._installation)
        self._check()
        for file in self.plan.files:
            write_file(file)
            yield f"Wrote {file.path}"
        log_path(self._installation).parent.mkdir(parents=True, exist_ok=True)
        attempt(["launchctl", "bootout", self._target])  # an earlier one, if there is any
        yield self._run("bootstrap", self._domain, str(self._path))

    def uninstall(self) -> Iterator[str]:
        """Unload the agent and remove its property list; yields what was done. Models stay."""
        attempt(["launchctl", "bootout", self._target])
        if self._path.exists():
            self._path.unlink()
            yield f"Removed {self._path}"

    def start(self) -> str:
        """Start the agent, loading it if need be; returns what was run."""
        self._require()
        if attempt(["launchctl", "print", self._target]).returncode:
            return self._run("bootstrap", self._domain, str(self._path))
        return self._run("kickstart", self._target)

    def stop(self) -> str:
        """Unload the agent until it is started, or until the next login."""
        self._require()
        return self._run("bootout", self._target)

    def restart(self) -> str:
        """Stop and start the agent."""
        self._require()
        return self._run("kickstart", "-k", self._target)

    def status(self) -> Status:
        """Return how the agent is."""
        if not self._path.exists():
            return Status(None, "not installed")
        said = attempt(["launchctl", "print", self._target]).stdout
        fields = dict(line.strip().split(" = ", 1) for line in said.splitlines() if " = " in line)
        return Status(self._path, fields.get("state", "not loaded"), int(fields.get("pid", "0")), at_boot=True)

    def log_command(self, lines: int, *, follow: bool) -> list[str]:
        """Return the command that shows the log."""
        self._require()
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log_path(self._installation))]

    def hint(self) -> str | None:
        """Return what is still to do: nothing, an agent starts with the login."""
        return None

    def _require(self) -> None:
        if not self._path.exists():
            raise not_installed(self._installation)

    def _check(self) -> None:
        if self._installation.listen:
            raise ServiceError("--socket is for systemd; launchd starts the daemon at login")
        if self._installation.is_system:
            try:
                pwd.getpwnam(self._installation.user)
            except KeyError as exc:
                raise ServiceError(f"this Mac has no user {self._installation.user}; name one with --user") from exc

    def _run(self, *words: str) -> str:
        return run(["launchctl", *words], is_system=self._installation.is_system)
