"""`ollamapy handoff`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.json_output import indented
from ollamapy.cli.parsing import positive_number
from ollamapy.cli.vllm import handoff_text, plan_handoff
from ollamapy.config import read_settings

DEFAULT_PARALLEL = 16
PARALLEL_HELP = f"requests at once (default: OLLAMA_NUM_PARALLEL as this command finds it set, else {DEFAULT_PARALLEL})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("--to", choices=("vllm",), default="vllm", help="what shall serve it (%(default)s)")
    parser.add_argument("--ctx", metavar="TOKENS", help="tokens of context per request (default: the model's)")
    parser.add_argument("--parallel", metavar="N", help=PARALLEL_HELP)
    parser.add_argument("--repository", metavar="NAME", default="", help="its Hugging Face name, where none is told")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def command(*, model: str, to: str, ctx: str | None, parallel: str | None, repository: str, json: bool) -> None:  # noqa: ARG001 - one target so far
    """Print the command by which another server serves the model, what clients change, and the memory it takes.

    Examples:
      ollamapy handoff llama3.2:1b --to vllm
      ollamapy handoff mine --parallel 64 --ctx 8192
    """
    settings = read_settings(os.environ)
    n_parallel = positive_number("--parallel", parallel) or settings.num_parallel or DEFAULT_PARALLEL
    context_tokens = positive_number("--ctx", ctx)
    with connect(settings) as client:
        shown = client.show(model)
    plan = plan_handoff(model, shown, repository=repository, context_tokens=context_tokens, n_parallel=n_parallel)
    if json:
        fields: dict[str, str | int | bool] = {
            "command": " ".join(plan.command),
            "repository": plan.repository,
            "context_tokens": plan.context_tokens,
            "trained_tokens": plan.trained_tokens,
            "parallel": plan.n_parallel,
            "weights_bytes": plan.weights_bytes,
            "cache_bytes": plan.cache_bytes,
            "memory_bytes": plan.memory_bytes,
        }
        render.line(indented(fields))
    else:
        render.line(handoff_text(plan, settings.host.base_url))
