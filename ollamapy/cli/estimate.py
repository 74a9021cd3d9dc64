"""`ollamapy estimate`."""

from __future__ import annotations

import argparse

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.human import size_words
from ollamapy.cli.json_output import pretty
from ollamapy.cli.parsing import whole_number
from ollamapy.dialects.native import EstimateRecord
from ollamapy.errors import ModelTooLargeError
from ollamapy.types import Options

HEADER = ("DEVICE", "NEEDED", "FREE", "TOTAL")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model, stored or in a registry")
    parser.add_argument("--ctx", metavar="TOKENS", help="context length; by default what the memory allows")
    parser.add_argument("--gpu-layers", metavar="LAYERS", help="layers on GPUs; by default as many as fit")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON as /api/estimate answers it")


def command(*, model: str, ctx: str | None, gpu_layers: str | None, as_json: bool) -> None:
    """Tell what a model takes in memory and whether it fits, before it is loaded or pulled.

    Examples:
      ollamapy estimate wren
      ollamapy estimate llama3.2:3b --ctx 32768
    """
    num_gpu = None if gpu_layers is None else whole_number("--gpu-layers", gpu_layers)
    num_ctx = whole_number("--ctx", ctx)
    options = Options(num_ctx=num_ctx or None, num_gpu=num_gpu)
    with connect() as client:
        found = client.estimate(model, options)
    if as_json:
        render.line(pretty(found))
        return
    for label, text in lines(found):
        render.line(f"{label.ljust(12)}{text}")
    render.line()
    rows = [[d.name, *map(size_words, (d.needed, d.free, d.total))] for d in found.devices]
    render.table(HEADER, rows)
    if found.context_length < num_ctx:
        render.note(f"{found.model} was trained on {found.context_length} tokens; a longer context has no effect")
    if not found.fits:
        raise ModelTooLargeError(f"{found.model} does not fit: {found.reason}")


def lines(found: EstimateRecord) -> list[tuple[str, str]]:
    """Return what the estimate says, as labels and texts."""
    shown = [
        ("model", found.model if found.stored else f"{found.model} (not stored yet)"),
        ("memory", size_words(found.size)),
        ("weights", size_words(found.weights)),
        ("context", f"{size_words(found.cache)} ({found.context_length} tokens a request, {found.kv_cells} in all)"),
        ("buffers", size_words(found.buffers)),
    ]
    if found.companions:
        shown.append(("beside", f"{size_words(found.companions)} (projector, adapters, draft model)"))
    return [*shown, *([("placed", found.reason)] if found.fits else [])]
