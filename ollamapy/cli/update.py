"""`ollamapy update`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.errors import exit_code
from ollamapy.cli.json_output import indented
from ollamapy.cli.progress import show_transfer
from ollamapy.client import Client
from ollamapy.dialects.native import UpdateRecord
from ollamapy.errors import InvalidInputError, OllamapyError, RemoteNotFoundError

STATE_WORDS = {
    "current": "up to date",
    "newer": "a newer version is there",
    "absent": "not in its registry",
    "local": "comes with ollamapy",  # unless all were asked for, which leaves out what was made here
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="the models to look for")
    parser.add_argument("--all", action="store_true", dest="all_models", help="look for all that came from a registry")
    parser.add_argument("--check", action="store_true", help="only tell which have a newer version")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what is newer as JSON")


def command(*, models: list[str], all_models: bool, check: bool, as_json: bool) -> None:
    """Fetch newer versions of models from their registries.

    Examples:
      ollamapy update llama3.2:1b
      ollamapy update --all
    """
    if bool(models) == all_models:
        raise InvalidInputError("name the models to update, or use --all")
    failed: dict[str, OllamapyError] = {}
    with connect() as client:
        names = [model.name for model in client.list().models] if all_models else models
        answers = [look(client, name, failed, only_pulled=all_models) for name in names]
        found = [record for record in answers if record is not None and (models or record.state != "local")]
        changed = [] if check else fetch(client, found, failed, tell_absent=not all_models)
    if as_json:
        states = {record.model: record.state for record in found}
        render.line(indented({"states": states, "updated": changed, "failed": list(failed)}))
    elif check:
        render.table(("NAME", "STATE"), [[record.model, STATE_WORDS[record.state]] for record in found])
    elif changed:
        render.line("updated " + ", ".join(changed))
    elif not failed:
        render.line("nothing is newer")
    if failed:
        render.error(f"could not {'check' if check else 'update'} {', '.join(failed)}")
        sys.exit(exit_code(next(iter(failed.values()))))  # each was told when it came


def fetch(
    client: Client, found: Sequence[UpdateRecord], failed: dict[str, OllamapyError], *, tell_absent: bool
) -> list[str]:
    """Pull what is newer; returns the models that changed. A failure is told and kept, and the others go on."""
    for record in found:
        if record.state == "local":
            render.note(f"{record.model} comes with ollamapy; no registry is asked for it")
        elif record.state == "absent" and tell_absent:
            failed[record.model] = RemoteNotFoundError(f"{record.model} is not in its registry")
            render.error(failed[record.model].message)
    newer = [record.model for record in found if record.state == "newer"]
    return [name for name in newer if update(client, name, failed)]


def look(client: Client, name: str, failed: dict[str, OllamapyError], *, only_pulled: bool) -> UpdateRecord | None:
    """Ask about one model; a failure is told and kept, and the others go on."""
    try:
        return client.check_update(name, only_pulled=only_pulled)
    except OllamapyError as exc:
        render.error(f"{name}: {exc.message}")
        failed[name] = exc
        return None


def update(client: Client, name: str, failed: dict[str, OllamapyError]) -> bool:
    """Pull one model; a failure is told and kept, and the others go on."""
    render.note(f"{name}:")
    try:
        show_transfer(client.pull(name))
    except OllamapyError as exc:
        render.error(exc.message)
        failed[name] = exc
        return False
    return True
