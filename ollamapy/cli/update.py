"""`ollamapy update`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import indented
from ollamapy.cli.progress import show_transfer
from ollamapy.client import Client
from ollamapy.dialects.native import UpdateRecord
from ollamapy.errors import InvalidInputError, OllamapyError, ServiceError

STATE_WORDS = {
    "current": "up to date",
    "newer": "a newer version is there",
    "absent": "not in its registry",
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
    with connect() as client:
        names = [model.name for model in client.list().models] if all_models else models
        answers = [(name, look(client, name, only_pulled=all_models)) for name in names]
        found = [record for _, record in answers if record is not None and record.state != "local"]
        failed = [name for name, record in answers if record is None]
        changed: list[str] = []
        if not check:
            changed, missed = fetch(client, found, tell_absent=not all_models)
            failed += missed
    if as_json:
        states = {record.model: record.state for record in found}
        render.line(indented({"states": states, "updated": changed, "failed": failed}))
    elif check:
        render.table(("NAME", "STATE"), [[record.model, STATE_WORDS[record.state]] for record in found])
    elif changed:
        render.line("updated " + ", ".join(changed))
    elif not failed:
        render.line("nothing is newer")
    if failed:
        raise ServiceError(f"could not {'check' if check else 'update'} {', '.join(failed)}")


def fetch(client: Client, found: Sequence[UpdateRecord], *, tell_absent: bool) -> tuple[list[str], list[str]]:
    """Pull what is newer; returns the models that changed and those that failed."""
    absent = [record.model for record in found if record.state == "absent"] if tell_absent else []
    for name in absent:
        render.error(f"{name} is not in its registry")
    newer = [record.model for record in found if record.state == "newer"]
    failed = [name for name in newer if not update(client, name)]
    return [name for name in newer if name not in failed], absent + failed


def look(client: Client, name: str, *, only_pulled: bool) -> UpdateRecord | None:
    """Ask about one model; a failure is told and the others go on."""
    try:
        return client.check_update(name, only_pulled=only_pulled)
    except OllamapyError as exc:
        render.error(f"{name}: {exc.message}")
        return None


def update(client: Client, name: str) -> bool:
    """Pull one model; a failure is told and the others go on."""
    render.note(f"{name}:")
    try:
        show_transfer(client.pull(name))
    except OllamapyError as exc:
        render.error(exc.message)
        return False
    return True
