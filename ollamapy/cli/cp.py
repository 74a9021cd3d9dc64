"""`ollamapy cp`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import indented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("source", metavar="SOURCE", help="a model")
    parser.add_argument("destination", metavar="DESTINATION", help="its second name")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what was done as JSON")


def command(*, source: str, destination: str, as_json: bool) -> None:
    """Give a model a second name.

    Examples:
      ollamapy cp wren mine
    """
    with connect() as client:
        client.copy(source, destination)
    done = indented({"source": source, "destination": destination})
    render.line(done if as_json else f"copied '{source}' to '{destination}'")
