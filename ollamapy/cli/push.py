"""`ollamapy push`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import one_line
from ollamapy.cli.progress import show_transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="a model whose name begins with a configured registry")
    parser.add_argument(
        "--insecure", action="store_true", help="allow http:// before the name of a configured registry"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the steps as lines of JSON")


def command(*, model: str, insecure: bool, as_json: bool) -> None:
    """Send a model to a registry that the daemon's configuration names.

    Examples:
      ollamapy push registry.example.com/me/mine
    """
    with connect() as client:
        steps = client.push(model, insecure=insecure)
        if not as_json:
            show_transfer(steps)
            return
        for step in steps:
            render.line(one_line(step))
