"""`ollamapy ps`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.human import moment_words, parse_moment, size_words
from ollamapy.cli.json_output import pretty
from ollamapy.dialects.native import LoadedListRecord, LoadedRecord, WaitingRecord

HEADER = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
WHY_HEADER = ("NAME", "STATE", "WHY")
ID_DIGITS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="list only names that begin so")
    parser.add_argument("--why", action="store_true", help="tell why each model is there, and what others wait for")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON as /api/ps answers it")


def command(*, prefix: str, why: bool, as_json: bool) -> None:
    """List models that are in memory.

    Examples:
      ollamapy ps
      ollamapy ps --why
      ollamapy ps --json
    """
    with connect() as client:
        found = client.ps()
    models = [model for model in found.models if model.name.lower().startswith(prefix.lower())]
    waiting = [request for request in found.waiting if request.model.lower().startswith(prefix.lower())]
    if as_json:
        render.line(pretty(LoadedListRecord(models=models, waiting=waiting)))
    elif why:
        render.table(WHY_HEADER, [*map(why_row, models), *map(waiting_row, waiting)])
    else:
        render.table(HEADER, [row(model, datetime.now(UTC)) for model in models])


def row(model: LoadedRecord, now: datetime) -> list[str]:
    """Return the texts of one model's row."""
    expires_at = parse_moment(model.expires_at)
    is_due = expires_at is not None and expires_at < now
    until = "Stopping..." if is_due else moment_words(expires_at, now)
    return [
        model.name,
        model.digest[:ID_DIGITS],
        size_words(model.size),
        processor(model.size, model.size_vram),
        str(model.context_length),
        until,
    ]


def why_row(model: LoadedRecord) -> list[str]:
    """Return the name, the state and the reason of a model."""
    state = f"loading {model.progress:.0%}" if model.state == "loading" else model.state
    if running := model.active_requests - model.queued_requests:
        state += f", {running} running"
    if model.queued_requests:
        state += f", {model.queued_requests} queued"
    return [model.name, state, model.reason]


def waiting_row(request: WaitingRecord) -> list[str]:
    """Return the model, the wait and the reason of a request that waits."""
    return [request.model, f"waiting {request.seconds:.0f} s", request.reason]


def processor(size: int, size_vram: int) -> str:
    """Return on what the model runs; sizes are bytes, `size_vram` of `size` lie on accelerators."""
    if size_vram == 0:
        return "100% CPU"
    if size_vram == size:
        return "100% GPU"
    if size_vram > size:
        return "Unknown"
    on_cpu = int((size - size_vram) / size * 100 + 0.5)
    return f"{on_cpu}%/{100 - on_cpu}% CPU/GPU"
