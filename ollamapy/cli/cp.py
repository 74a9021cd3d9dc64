"""`ollamapy cp`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("source", metavar="SOURCE", help="a model")
    parser.add_argument("destination", metavar="DESTINATION", help="its second name")


def command(*, source: str, destination: str) -> None:
    """Give a model a second name."""
    with connect() as client:
        client.copy(source, destination)
    render.line(f"copied '{source}' to '{destination}'")
