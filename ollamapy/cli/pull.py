"""`ollamapy pull`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import one_line
from ollamapy.cli.progress import show_transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument(
        "model", metavar="MODEL", help="[host/][namespace/]model[:tag], or hf.co/user/repository[:quant]"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="allow http:// before the name of a configured registry"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the steps as lines of JSON")


def command(*, model: str, insecure: bool, as_json: bool) -> None:
    """Fetch a model from a registry; what has arrived before is not fetched again.

    Examples:
      ollamapy pull llama3.2:1b
      ollamapy pull hf.co/user/repository:Q4_K_M
    """
    with connect() as client:
        steps = client.pull(model, insecure=insecure)
        if not as_json:
            show_transfer(steps)
            return
        for step in steps:
            render.line(one_line(step))
