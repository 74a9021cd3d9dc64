"""The line below the prompt: how fast the last answer was, how full the context is, what of it was cached; pure."""

from __future__ import annotations

from ollamapy.dialects.native import NANOSECONDS, MetricsRecord

GAP = " · "


def status_words(model: str, last: MetricsRecord | None) -> str:
    """Return the line for a model after its last answer; an answer that outlives its context fills it."""
    if last is None or not last.done_reason:
        return model
    used = last.prompt_eval_count + last.eval_count
    parts = [model]
    if last.eval_duration > 0:
        parts.append(f"{last.eval_count * NANOSECONDS / last.eval_duration:.1f} tokens/s")
    parts.append(context_words(used, last.num_ctx))
    parts.append(f"{last.cached_tokens} cached")
    if last.dropped_messages:
        parts.append(f"{last.dropped_messages} messages dropped")
    return GAP.join(parts)


def context_words(used: int, num_ctx: int) -> str:
    """Return how full the context is; `num_ctx` is 0 where the daemon did not tell it."""
    if not num_ctx:
        return f"context {used} tokens"
    held = min(used, num_ctx)
    return f"context {held} of {num_ctx} ({100 * held // num_ctx}%)"
