"""`ollamapy bench`: how fast a model answers here, one client and several at once."""

from __future__ import annotations

import argparse
import asyncio
import os
import time

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import indented
from ollamapy.cli.loading import find_loaded
from ollamapy.cli.measure import Figures, Plan, measure
from ollamapy.cli.parsing import positive_number
from ollamapy.cli.progress import Progress
from ollamapy.cli.ps import processor
from ollamapy.cli.speak import Manner, load
from ollamapy.client import AsyncClient, Client
from ollamapy.config import Settings, read_settings
from ollamapy.errors import OllamapyError, UnsupportedError
from ollamapy.types import Json

CLIENTS, ROUNDS, TOKENS = "8", "3", "64"
TELLING_TOKENS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model to measure")
    parser.add_argument("--clients", metavar="N", default=CLIENTS, help="how many ask at once (%(default)s)")
    parser.add_argument("--tokens", metavar="N", default=TOKENS, help="how long each answer may be (%(default)s)")
    parser.add_argument("--rounds", metavar="N", default=ROUNDS, help="how often all is measured (%(default)s)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the figures as JSON")


def command(*, model: str, clients: str, tokens: str, rounds: str, as_json: bool) -> None:
    """Measure how fast a model answers through the API: the time to its first token, and tokens per second.

    Prompts have nothing in common, so nothing is cached but what the model's own template begins with. Of several
    rounds the one with the median rate counts. Other programs that use the machine, or the daemon, make it slower.

    Examples:
      ollamapy bench wren
      ollamapy bench wren --clients 16 --tokens 128 --json
    """
    plan = Plan(
        model,
        clients=positive_number("--clients", clients),
        rounds=positive_number("--rounds", rounds),
        tokens=positive_number("--tokens", tokens),
    )
    settings = read_settings(os.environ)
    with connect(settings) as client:
        if "embedding" in client.show(model).capabilities:
            raise UnsupportedError(f"{model} makes vectors, and bench measures answers")
        begin = time.perf_counter()
        load(client, Manner(model))
        load_seconds = time.perf_counter() - begin
        alone, together = run(settings, plan)
        where = where_it_runs(client, model)
    if as_json:
        render.line(indented(fields(plan, where, load_seconds, alone, together)))
        return
    render.table(*table(plan, alone, together))
    for note in notes(plan, where, alone, together):
        render.note(note)


def run(settings: Settings, plan: Plan) -> tuple[Figures, Figures]:
    """Measure while a status line tells what is measured."""
    progress = Progress(is_transient=True)

    async def measured() -> tuple[Figures, Figures]:
        async with AsyncClient(settings.host.base_url, settings.api_key) as client:
            return await measure(client, plan, progress.show)

    try:
        return asyncio.run(measured())
    except* OllamapyError as failed:
        raise failed.exceptions[0] from None
    finally:
        progress.end()


def table(plan: Plan, alone: Figures, together: Figures) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return header and rows of what is printed."""
    both = (alone, together)
    rows = [
        ["time to first token", *(_milliseconds(figures.first_seconds) for figures in both)],
        ["  the longest", *(_milliseconds(figures.worst_first_seconds) for figures in both)],
        ["tokens/s of a client", *(f"{rate:.1f}" if (rate := figures.client_rate) else "-" for figures in both)],
        ["tokens/s of all", *(f"{figures.total_rate:.1f}" for figures in both)],
    ]
    return ("", "ALONE", f"{plan.clients} CLIENTS"), rows


def notes(plan: Plan, where: str, alone: Figures, together: Figures) -> list[str]:
    """Return what must be known to read the figures right."""
    samples = (*alone.samples, *together.samples)
    prompts = [sample.prompt_tokens for sample in samples]
    rounds = f"{plan.rounds} round{'s' if plan.rounds > 1 else ''}"
    place = f" on {where}" if where else ""
    found = [f"{plan.model}{place}; prompts of {min(prompts)} to {max(prompts)} tokens, {rounds}"]
    short = sum(sample.tokens < plan.tokens for sample in samples)
    if short:
        found.append(f"{short} of {len(samples)} answers ended before {plan.tokens} tokens")
    if max(sample.tokens for sample in samples) < TELLING_TOKENS:
        found.append(f"answers of fewer than {TELLING_TOKENS} tokens say little about rates")
    return found


def fields(plan: Plan, where: str, load_seconds: float, alone: Figures, together: Figures) -> dict[str, Json]:
    """Return what `--json` prints; times are seconds."""
    return {
        "model": plan.model,
        "processor": where or None,
        "rounds": plan.rounds,
        "tokens": plan.tokens,
        "load_seconds": round(load_seconds, 3),
        "alone": _figures(alone),
        "together": _figures(together),
    }


def where_it_runs(client: Client, model: str) -> str:
    """Return on what the model runs, as `ps` says it; nothing where it was loaded under another name."""
    found = find_loaded(client.ps().models, model)
    return processor(found.size, found.size_vram) if found else ""


def _figures(figures: Figures) -> dict[str, Json]:
    return {
        "clients": len(figures.samples),
        "first_token_seconds": round(figures.first_seconds, 4),
        "longest_first_token_seconds": round(figures.worst_first_seconds, 4),
        "client_tokens_per_second": round(figures.client_rate, 2) or None,
        "total_tokens_per_second": round(figures.total_rate, 2),
        "prompt_tokens": sum(sample.prompt_tokens for sample in figures.samples),
        "cached_tokens": sum(sample.cached_tokens for sample in figures.samples),
        "answer_tokens": sum(sample.tokens for sample in figures.samples),
    }


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
