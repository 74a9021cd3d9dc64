"""`ollamapy show`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.human import count_words
from ollamapy.cli.json_output import pretty
from ollamapy.dialects.native import ShowRecord
from ollamapy.types import Json

PARTS = {
    "license": "licence",
    "modelfile": "Modelfile",
    "parameters": "parameters",
    "system": "system message",
    "template": "prompt template",
}
SHORT_LINES = 2
SHORT_ITEMS = 3
MOST_EXACT = 10**15  # below it a whole number is written with all its digits

Section = tuple[str, list[list[str]]]
"""A heading with its rows of text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parts = parser.add_mutually_exclusive_group()
    for part, what in PARTS.items():
        parts.add_argument(f"--{part}", action="store_const", const=part, dest="part", help=f"print its {what}")
    parts.add_argument(
        "--json", action="store_const", const="json", dest="part", help="print JSON as /api/show answers it"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print metadata and tensors too")


def command(*, model: str, part: str | None, verbose: bool) -> None:
    """Show information about a model.

    Examples:
      ollamapy show wren
      ollamapy show wren --modelfile
      ollamapy show wren --json
    """
    with connect() as client:
        shown = client.show(model, verbose=verbose)
    if part == "json":
        render.line(pretty(shown))
    elif part:
        render.line(getattr(shown, part))
    else:
        for text in section_lines(sections(shown, verbose=verbose)):
            render.line(text)


def section_lines(found: list[Section]) -> list[str]:
    """Return the lines of all sections that have rows, each with a blank line behind it."""
    lines: list[str] = []
    for heading, rows in found:
        if rows:
            lines += [f"  {heading}", *(f"    {text}" for text in render.table_lines(rows)), ""]
    return lines


def sections(shown: ShowRecord, *, verbose: bool) -> list[Section]:
    """Return what is known about a model, in the order in which it is printed."""
    found: list[Section] = [
        ("Model", _model_rows(shown)),
        ("Capabilities", [[name] for name in shown.capabilities]),
        ("Projector", _projector_rows(shown.projector_info)),
        ("Parameters", [text.split(maxsplit=1) for text in shown.parameters.splitlines() if text.strip()]),
    ]
    if verbose:
        found.append(("Metadata", [[key, value_text(value)] for key, value in sorted(shown.model_info.items())]))
        tensors = [[tensor.name, tensor.type, str(tensor.shape)] for tensor in shown.tensors]
        found.append(("Tensors", tensors))
    return [*found, ("System", head(shown.system)), ("License", head(shown.license))]


def head(text: str) -> list[list[str]]:
    """Return the first lines that are not blank, and `...` where there are more."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [[line] for line in lines[:SHORT_LINES]] + ([["..."]] if len(lines) > SHORT_LINES else [])


def value_text(value: Json) -> str:
    """Return a metadata value as JSON writes it; of an array its first items and how many more there are."""
    if isinstance(value, list):
        more = [f"...+{len(value) - SHORT_ITEMS} more"] if len(value) > SHORT_ITEMS else []
        return "[" + ", ".join([*map(value_text, value[:SHORT_ITEMS]), *more]) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < MOST_EXACT:
        return str(int(value))
    return "" if value is None else str(value)


def _model_rows(shown: ShowRecord) -> list[list[str]]:
    info = shown.model_info
    architecture = str(info.get("general.architecture") or shown.details.family)
    size = shown.details.parameter_size or count_words(int(info.get("general.parameter_count") or 0))
    rows = {
        "architecture": architecture,
        "parameters": size,
        "context length": info.get(f"{architecture}.context_length"),
        "embedding length": info.get(f"{architecture}.embedding_length"),
        "quantization": shown.details.quantization_level,
        "requires": shown.requires,
    }
    return [[name, str(value)] for name, value in rows.items() if value]


def _projector_rows(info: dict[str, Json]) -> list[list[str]]:
    rows = {
        "architecture": info.get("general.architecture"),
        "parameters": count_words(int(info.get("general.parameter_count") or 0)),
        "embedding length": info.get("clip.vision.embedding_length"),
        "dimensions": info.get("clip.vision.projection_dim"),
    }
    return [[name, str(value)] for name, value in rows.items() if value] if info else []
