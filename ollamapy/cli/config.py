"""`ollamapy config`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.cli.errors import told
from ollamapy.cli.json_output import indented
from ollamapy.config import Reading, inspect_settings
from ollamapy.errors import ConfigError

HEADER = ("SETTING", "VALUE")
ORIGIN = "FROM"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument(
        "action",
        choices=("show", "check", "path"),
        help="show: all settings; check: whether file and variables are right; path: where the file is",
    )
    parser.add_argument("--origin", action="store_true", help="show where each value comes from")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def command(*, action: str, origin: bool, as_json: bool) -> None:
    """Tell about the settings: those of this command's environment, which need not be the daemon's.

    Examples:
      ollamapy config show --origin
      ollamapy config check
    """
    reading = inspect_settings(os.environ)
    if as_json:
        tell(reading)
        refuse(reading.problems)
    elif action == "path":
        render.line(str(reading.path or ""))
    elif action == "show":
        show(reading, has_origin=origin)
        refuse(reading.problems)
    else:
        check(reading)


def tell(reading: Reading) -> None:
    """Print all that is known as JSON, secrets hidden."""
    values = {value.key: {"value": value.text, "from": value.origin} for value in reading.values}
    fields = {
        "path": str(reading.path or ""),
        "settings": values,
        "warnings": list(reading.warnings),
        "problems": [problem.message for problem in reading.problems],
    }
    render.line(indented(fields))


def show(reading: Reading, *, has_origin: bool) -> None:
    """Print all settings, secrets hidden."""
    rows = [[value.key, value.text, *([value.origin] if has_origin else [])] for value in reading.values]
    render.table((*HEADER, *((ORIGIN,) if has_origin else ())), rows)


def check(reading: Reading) -> None:
    """Tell all that is wrong; raises ConfigError if anything is."""
    for warning in reading.warnings:
        render.note(f"Warning: {warning}")
    refuse(reading.problems)
    verdict = "has no errors" if reading.warnings else "is right"
    if reading.path is not None and reading.path.exists():
        render.line(f"{reading.path} {verdict}")
    else:
        render.line(f"the environment {verdict}; there is no configuration file")


def refuse(problems: tuple[ConfigError, ...]) -> None:
    """Tell all problems, the last by raising it."""
    for problem in problems[:-1]:
        render.error(told(problem))
    if problems:
        raise problems[-1]
