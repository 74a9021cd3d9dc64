"""`ollamapy prune`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.human import size_words
from ollamapy.cli.json_output import pretty

HEADER = ("KIND", "DIGEST", "SIZE")
DIGEST_CHARACTERS = len("sha256:") + 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("--dry-run", action="store_true", dest="dry_run", help="only tell what would be removed")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON as /api/prune answers it")


def command(*, dry_run: bool, as_json: bool) -> None:
    """Remove blobs that no model needs, and downloads that nobody went on with for an hour.

    Examples:
      ollamapy prune --dry-run
      ollamapy prune
    """
    with connect() as client:
        answer = client.prune(dry_run=dry_run)
    if as_json:
        render.line(pretty(answer))
        return
    unused = answer.unused
    if unused:
        render.table(HEADER, [[item.kind, item.digest[:DIGEST_CHARACTERS], size_words(item.size)] for item in unused])
    total = size_words(sum(item.size for item in unused))
    render.line(f"{total} {'would be' if dry_run else 'was'} freed")
