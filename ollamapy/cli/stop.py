"""`ollamapy stop`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import indented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model to take out of memory")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what was done as JSON")


def command(*, model: str, as_json: bool) -> None:
    """Take a model out of memory.

    Examples:
      ollamapy stop wren
    """
    with connect() as client:
        client.unload(model)
    if as_json:
        render.line(indented({"stopped": model}))
