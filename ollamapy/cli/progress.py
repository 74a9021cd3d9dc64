"""Shows a pull or a push while it runs: a line per layer with a bar, speed and time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from ollamapy.cli import render
from ollamapy.cli.human import size_words
from ollamapy.dialects.native import ProgressRecord

BAR_COLUMNS = 20
WINDOW_SECONDS = 5.0
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Speed:
    """How fast a layer arrives, over the last seconds; time comes from the caller."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, seconds: float, completed_bytes: int) -> float:
        """Add a reading and return bytes per second, 0 while that is unknown."""
        self._seen.append((seconds, completed_bytes))
        while seconds - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        first_seconds, first_bytes = self._seen[0]
        elapsed = seconds - first_seconds
        return (completed_bytes - first_bytes) / elapsed if elapsed >= 0.1 else 0.0


def show_transfer(steps: Iterable[ProgressRecord], clock: Callable[[], float] = time.monotonic) -> None:
    """Show the steps until the last one."""
    status = render.StatusLine()
    speed, digest = Speed(), ""
    try:
        for step in steps:
            if step.digest != digest:
                speed, digest = Speed(), step.digest
            rate = speed.add(clock(), step.completed) if step.total else 0.0
            status.show(step.status, transfer_words(step.completed, step.total, rate))
    finally:
        status.end()


def transfer_words(completed: int, total: int, bytes_per_second: float) -> str:
    """Return how far a layer is: percentage, bar, sizes, speed, time left; "" for a step without a size."""
    if not total:
        return ""
    done = min(completed, total)
    text = f"{100 * done // total:3d}% ▕{bar(done / total)}▏ {size_words(done)}/{size_words(total)}"
    if done < total and bytes_per_second > 0:
        text += f"  {size_words(round(bytes_per_second))}/s  {left_words((total - done) / bytes_per_second)}"
    return text


def bar(share: float) -> str:
    """Return a bar that is filled in eighths of a column."""
    full, rest = divmod(round(share * BAR_COLUMNS * 8), 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(BAR_COLUMNS)


def left_words(seconds: float) -> str:
    """Return a time that is left: `45s`, `3m12s`, `2h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m" if whole < 360_000 else "99h+"
