"""`ollamapy rm`."""

from __future__ import annotations

import argparse
from contextlib import suppress

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.errors import told
from ollamapy.cli.json_output import indented
from ollamapy.client import Client
from ollamapy.errors import InvalidInputError, NotFoundError, OllamapyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="the models to remove")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what was removed as JSON")


def command(*, models: list[str], as_json: bool) -> None:
    """Remove models; those in memory are unloaded first. Names that are not there do not keep the others from it.

    Examples:
      ollamapy rm mine yours
    """
    refused: list[OllamapyError] = []
    removed: list[str] = []
    with connect() as client:
        for model in models:
            try:
                remove(client, model)
                removed.append(model)
                if not as_json:
                    render.line(f"deleted '{model}'")
            except (NotFoundError, InvalidInputError) as exc:
                refused.append(exc)
    if as_json:
        render.line(indented({"deleted": removed}))
    for error in refused[:-1]:
        render.error(told(error))
    if refused:
        raise refused[-1]


def remove(client: Client, model: str) -> None:
    """Remove one model; raises ModelNotFoundError."""
    with suppress(OllamapyError):  # a damaged model can't be unloaded; removing tells what is wrong
        client.unload(model)
    client.delete(model)
