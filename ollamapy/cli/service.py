"""`ollamapy service`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ollamapy.cli import render
from ollamapy.cli.json_output import indented
from ollamapy.cli.parsing import whole_number
from ollamapy.client import Client
from ollamapy.config import Settings, config_dir, read_settings, service_environment
from ollamapy.errors import InvalidInputError, ServiceError
from ollamapy.service import Control, Installation, Plan, find_control

ACTIONS = ("install", "start", "stop", "restart", "status", "logs", "uninstall")
DEFAULT_LINES = "50"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("action", choices=ACTIONS, help="what to do with the service")
    parser.add_argument("--system", action="store_true", help="the service of the whole machine (root), not your own")
    parser.add_argument("--user", metavar="NAME", default="ollamapy", help="who a system service runs as (%(default)s)")
    parser.add_argument("--socket", action="store_true", help="install: start the daemon with its first request")
    parser.add_argument("--dry-run", action="store_true", help="install: print the files instead of writing them")
    parser.add_argument("--follow", "-f", action="store_true", help="logs: go on with what comes")
    parser.add_argument("--lines", "-n", metavar="N", default=DEFAULT_LINES, help="logs: how many lines (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print what was done, or how it is, as JSON")


def command(
    *, action: str, system: bool, user: str, socket: bool, dry_run: bool, follow: bool, lines: str, json: bool
) -> None:
    """Run the daemon as a service, started at boot and again when it fails.

    Examples:
      ollamapy service install             # your own, under systemd or launchd
      sudo ollamapy service install --system
      ollamapy service logs --follow
    """
    settings = read_settings(os.environ)
    installation = describe(settings, is_system=system, user=user, has_socket=socket)
    control = find_control(installation, must_run=not (dry_run and action == "install"))
    if dry_run and action == "install":
        show_files(control.plan, as_json=json)
    elif action == "status":
        show_status(control, settings, as_json=json)
    elif action == "logs":
        show_log(control.log_command(whole_number("--lines", lines), follow=follow))
    elif json:
        render.line(indented({"done": list(steps(control, settings, action))}))
    else:
        for step in steps(control, settings, action):
            render.note(step)


def describe(settings: Settings, *, is_system: bool, user: str, has_socket: bool) -> Installation:
    """Return what shall run as a service: this program, with the settings of this environment."""
    if not user.replace("-", "").replace("_", "").isalnum():
        raise InvalidInputError(f'invalid value "{user}" for --user: write the name of a user')
    host = settings.host
    bracketed = f"[{host.bind_host}]" if ":" in host.bind_host else host.bind_host
    folder = config_dir(os.environ)
    return Installation(
        command=(*program(sys.argv[0]), "serve"),
        folders=(Path(sys.prefix), Path(sys.base_prefix)),
        environment=service_environment(os.environ),
        home=Path.home(),
        config_home=folder.parent if folder else Path.home() / ".config",
        is_system=is_system,
        user=user,
        listen=(f"{bracketed}:{host.port}",) if has_socket else (),
    )


def program(started_as: str) -> tuple[str, ...]:
    """Return the command that this program was started by, which stays where it is when ollamapy is upgraded."""
    path = Path(started_as)
    if path.name == "ollamapy" and path.is_absolute():
        return (str(path),)
    return (sys.executable, "-P", "-m", "ollamapy")


def show_files(plan: Plan, *, as_json: bool) -> None:
    """Print what the service would be made of."""
    if as_json:
        render.line(indented({"files": [{"path": str(file.path), "text": file.text} for file in plan.files]}))
        return
    for file in plan.files:
        render.line(f"# {file.path}\n{file.text}")


def steps(control: Control, settings: Settings, action: str) -> Iterator[str]:
    """Change the service, and yield what was done."""
    if action == "install":
        yield from install(control, settings)
    elif action == "uninstall":
        yield from control.uninstall()
        yield "Models and settings stay where they are."
    else:
        yield {"start": control.start, "stop": control.stop, "restart": control.restart}[action]()


def install(control: Control, settings: Settings) -> Iterator[str]:
    """Make the service, and yield what was done."""
    if not control.status().process_id:
        refuse_other(settings)
    yield from control.install()
    yield f"The service is installed; it serves {settings.host.base_url}"
    if (hint := control.hint()) is not None:
        yield hint


def refuse_other(settings: Settings) -> None:
    """Raise ServiceError where a daemon that is not the service has the port already."""
    with Client(settings.host.base_url, settings.api_key) as client:
        if client.probe() != "absent":
            raise ServiceError(
                f"something serves {settings.host.base_url} already, a daemon that a command started or another "
                "program; end it first (`ollamapy doctor` tells which process it is), or set OLLAMA_HOST"
            )


def show_status(control: Control, settings: Settings, *, as_json: bool) -> None:
    """Print how the service is and whether the daemon answers."""
    status = control.status()
    with Client(settings.host.base_url, settings.api_key) as client:
        answers = status.path is not None and bool(status.process_id) and client.probe() == "running"
    if as_json:
        fields: dict[str, str | int | bool] = {
            "installed": status.path is not None,
            "path": str(status.path or ""),
            "state": status.state,
            "process_id": status.process_id,
            "starts_at_boot": status.at_boot,
            "answers": answers,
            "address": settings.host.base_url,
        }
        render.line(indented(fields))
        return
    rows = [("service", str(status.path or "not installed"))]
    if status.path is not None:
        process = f", process {status.process_id}" if status.process_id else ""
        rows += [
            ("state", f"{status.state}{process}"),
            ("at boot", "starts" if status.at_boot else f"does not start{hint_of(control)}"),
            ("address", f"{settings.host.base_url} {'answers' if answers else 'does not answer'}"),
        ]
    for name, text in rows:
        render.line(f"{name.ljust(10)}{text}")


def hint_of(control: Control) -> str:
    """Return what is to do for the service to start at boot."""
    hint = control.hint()
    return f": {hint}" if hint else ""


def show_log(words: list[str]) -> None:
    """Run the program that shows the log, in this terminal; raises ServiceError where it is missing."""
    try:
        subprocess.run(words, check=False)  # noqa: S603 - words of our own
    except FileNotFoundError as exc:
        raise ServiceError(f"{words[0]} is not installed, which shows the log") from exc
