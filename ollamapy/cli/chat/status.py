"""The line below the prompt: how fast the last answer was, how full the context is, what of it was cached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from ollamapy.cli.loading import find_loaded
from ollamapy.dialects.native import NANOSECONDS, LoadedRecord, MetricsRecord

GAP = " · "


def status_words(model: str, last: MetricsRecord | None, context_tokens: int) -> str:
    """Return the line for a model after its last answer; `context_tokens` is what it holds, 0 where unknown."""
    if last is None or not last.done_reason:
        return model
    used = last.prompt_eval_count + last.eval_count
    parts = [model]
    if last.eval_duration > 0:
        parts.append(f"{last.eval_count * NANOSECONDS / last.eval_duration:.1f} tokens/s")
    share = f" of {context_tokens} ({100 * used // context_tokens}%)" if context_tokens else " tokens"
    parts.append(f"context {used}{share}")
    parts.append(f"{last.cached_tokens} cached")
    if last.dropped_messages:
        parts.append(f"{last.dropped_messages} messages dropped")
    return GAP.join(parts)


def context_of(models: Sequence[LoadedRecord], name: str) -> int:
    """Return the context length in tokens with which a model is loaded, 0 if it is not."""
    found = find_loaded(models, name)
    return found.context_length if found else 0
