"""`ollamapy list`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.human import moment_words, parse_moment, size_words
from ollamapy.cli.json_output import pretty
from ollamapy.dialects.native import ListRecord, ModelRecord

HEADER = ("NAME", "ID", "SIZE", "MODIFIED")
ID_DIGITS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="list only names that begin so")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON as /api/tags answers it")


def command(*, prefix: str, as_json: bool) -> None:
    """List models.

    Examples:
      ollamapy list
      ollamapy list wren --json
    """
    with connect() as client:
        found = client.list().models
    models = [model for model in found if model.name.lower().startswith(prefix.lower())]
    if as_json:
        render.line(pretty(ListRecord(models=models)))
    else:
        render.table(HEADER, rows(models, datetime.now(UTC)))


def rows(models: list[ModelRecord], now: datetime) -> list[list[str]]:
    """Return one row of text per model."""
    return [
        [
            model.name,
            model.digest[:ID_DIGITS],
            size_words(model.size),
            moment_words(parse_moment(model.modified_at), now),
        ]
        for model in models
    ]
