"""`ollamapy stop`."""

from __future__ import annotations

import argparse

from ollamapy.cli.daemon import connect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model to take out of memory")


def command(*, model: str) -> None:
    """Take a model out of memory."""
    with connect() as client:
        client.unload(model)
