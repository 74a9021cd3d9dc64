"""The text of a streamed answer as the user sees it: thinking set apart, lines wrapped, statistics at the end; pure."""

from __future__ import annotations

from ollamapy.cli.human import exact_duration
from ollamapy.cli.markdown import Markdown
from ollamapy.cli.render import DIM, PLAIN, harmless
from ollamapy.cli.wrap import WordWrap
from ollamapy.dialects.native import MetricsRecord, ToolCallRecord

NANOSECONDS = 1_000_000_000
LABEL_COLUMNS = 22


class AnswerText:
    """Turns the pieces of one answer into terminal text.

    `columns` is the width to wrap at, None for none. `is_dimmed` sets the thinking off by colour. With `is_safe`,
    control characters that could steer the terminal are dropped. Markdown in the answer is shown as what it means where
    `markdown_columns` tells how wide it may be.
    """

    def __init__(
        self,
        *,
        columns: int | None = None,
        is_dimmed: bool = False,
        hide_thinking: bool = False,
        is_safe: bool = False,
        markdown_columns: int | None = None,
    ) -> None:
        self._wrap = WordWrap(columns) if columns else None
        self._markdown = Markdown(self._wrap, markdown_columns) if markdown_columns else None
        self._is_dimmed = is_dimmed
        self._hide_thinking = hide_thinking
        self._is_safe = is_safe
        self._is_thinking = False
        self._last = "\n"

    def feed(self, thinking: str, content: str) -> str:
        """Return what to show for the next piece."""
        out = ""
        if thinking and not self._hide_thinking:
            out = self._open_thinking() + self._shown(thinking)
        if content:
            out += self._close_thinking() + self._shown(content, self._markdown)
        return out

    def end(self) -> str:
        """Return what is left to show when the answer is over or was stopped."""
        return self._close_thinking() + (self._markdown.end() if self._markdown else "") + self._rest()

    def _open_thinking(self) -> str:
        if self._is_thinking:
            return ""
        self._is_thinking = True
        return (DIM if self._is_dimmed else "") + "Thinking...\n"

    def _close_thinking(self) -> str:
        if not self._is_thinking:
            return ""
        self._is_thinking = False
        out = self._rest()
        line_end = "" if self._last == "\n" else "\n"
        if self._wrap:
            self._wrap.restart()
        return f"{out}{line_end}...done thinking.\n\n" + (PLAIN if self._is_dimmed else "")

    def _shown(self, text: str, markdown: Markdown | None = None) -> str:
        text = harmless(text) if self._is_safe else text
        shaper = markdown or self._wrap
        return self._remember(shaper.feed(text) if shaper else text)

    def _rest(self) -> str:
        return self._remember(self._wrap.end() if self._wrap else "")

    def _remember(self, text: str) -> str:
        self._last = text[-1:] or self._last
        return text


def tool_call_text(call: ToolCallRecord) -> str:
    """Return a line about a function that the model called although none was offered."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.function.arguments.items())
    return harmless(f"Model called a non-existent function '{call.function.name}()' with arguments: {arguments}")


def statistics(metrics: MetricsRecord) -> list[str]:
    """Return the lines of `--verbose`; what is zero is left out."""
    rows = {
        "total duration": _time(metrics.total_duration),
        "load duration": _time(metrics.load_duration),
        "prompt eval count": _count(metrics.prompt_eval_count),
        "prompt eval duration": _time(metrics.prompt_eval_duration),
        "prompt eval rate": _rate(metrics.prompt_eval_count, metrics.prompt_eval_duration),
        "eval count": _count(metrics.eval_count),
        "eval duration": _time(metrics.eval_duration),
        "eval rate": _rate(metrics.eval_count, metrics.eval_duration),
    }
    return [f"{name}:".ljust(LABEL_COLUMNS) + value for name, value in rows.items() if value]


def cut_words(metrics: MetricsRecord) -> str:
    """Return what to tell of an answer that ended too early, nothing for any other."""
    if metrics.done_reason != "length":
        return ""
    cut = f"the answer was cut after {metrics.eval_count} tokens"
    if metrics.num_ctx and metrics.prompt_eval_count + metrics.eval_count >= metrics.num_ctx:
        return f"{cut}, and its context of {metrics.num_ctx} is full; raise num_ctx or num_predict"
    return f"{cut}; raise num_predict"


def _time(nanoseconds: int) -> str:
    return exact_duration(nanoseconds) if nanoseconds > 0 else ""


def _count(tokens: int) -> str:
    return f"{tokens} token(s)" if tokens > 0 else ""


def _rate(tokens: int, nanoseconds: int) -> str:
    return f"{tokens * NANOSECONDS / nanoseconds:.2f} tokens/s" if tokens > 0 and nanoseconds > 0 else ""
