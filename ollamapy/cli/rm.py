"""`ollamapy rm`."""

from __future__ import annotations

import argparse
from contextlib import suppress

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.errors import OllamapyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="the models to remove")


def command(*, models: list[str]) -> None:
    """Remove models; those in memory are unloaded first."""
    with connect() as client:
        for model in models:
            with suppress(OllamapyError):  # a damaged model can't be unloaded; removing tells what is wrong
                client.unload(model)
            client.delete(model)
            render.line(f"deleted '{model}'")
