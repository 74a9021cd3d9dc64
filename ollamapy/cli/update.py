"""`ollamapy update`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.progress import show_transfer
from ollamapy.client import Client
from ollamapy.errors import InvalidInputError, OllamapyError, ServiceError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="the models to look for")
    parser.add_argument("--all", action="store_true", dest="all_models", help="look for all models that there are")


def command(*, models: list[str], all_models: bool) -> None:
    """Fetch newer versions of models from their registries."""
    if bool(models) == all_models:
        raise InvalidInputError("name the models to update, or use --all")
    with connect() as client:
        before = {model.name: model.digest for model in client.list().models}
        failed = [name for name in (list(before) if all_models else models) if not update(client, name)]
        after = {model.name: model.digest for model in client.list().models}
    changed = [name for name, digest in after.items() if before.get(name) != digest]
    render.line("updated " + ", ".join(changed) if changed else "nothing is newer")
    if failed:
        raise ServiceError(f"could not update {', '.join(failed)}")


def update(client: Client, name: str) -> bool:
    """Pull one model; a failure is told and the others go on."""
    render.note(f"{name}:")
    try:
        show_transfer(client.pull(name))
    except OllamapyError as exc:
        render.error(exc.message)
        return False
    return True
