"""`ollamapy embed`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import compact, pretty
from ollamapy.cli.parsing import clean_text, whole_number
from ollamapy.cli.piped import read_input
from ollamapy.config import read_settings
from ollamapy.errors import InvalidInputError
from ollamapy.types import EmbedRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the embedding model")
    parser.add_argument(
        "texts", metavar="TEXT", nargs="*", default=[], help="what to embed; without any, each line that is piped in"
    )
    parser.add_argument("--dimensions", metavar="N", help="keep only the first N numbers of each vector")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON as /api/embed answers it")


def command(*, model: str, texts: list[str], dimensions: str | None, as_json: bool) -> None:
    """Print the vector of each text as a line that is a JSON array.

    Line N of the output belongs to line N of what is piped in. A blank line is an error: it has nothing to embed.

    Examples:
      ollamapy embed nomic-embed-text "one text" "another"
      ollamapy embed nomic-embed-text --dimensions 256 < lines.txt
    """
    wanted = whole_number("--dimensions", dimensions)
    settings = read_settings(os.environ)
    inputs = [*map(clean_text, texts)] or piped_lines(settings.max_body_bytes)
    if not inputs:
        raise InvalidInputError("there is nothing to embed; name a text or pipe in lines")
    with connect(settings) as client:
        answer = client.embed(EmbedRequest(model, tuple(inputs), dimensions=wanted))
    if as_json:
        render.line(pretty(answer))
        return
    for vector in answer.embeddings:
        render.line(compact(vector))
    if answer.truncated_inputs:
        render.note(f"{answer.truncated_inputs} of {len(inputs)} texts were longer than the model can read, and cut")


def piped_lines(limit_bytes: int) -> list[str]:
    """Return the lines that are piped into the command; none where a person types.

    Only a line feed ends a line, as for other programs. Raises InvalidInputError for a blank line, TooLargeError.
    """
    if render.is_input_terminal():
        return []
    text = read_input(limit_bytes).decode("utf-8", "replace")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise InvalidInputError(
                f"line {number} of standard input is blank and has nothing to embed; leave blank lines out, "
                "with `grep '[^[:space:]]'` say"
            )
    return lines
