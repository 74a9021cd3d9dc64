"""Shows how something long goes on (transfers, hashing, quantizing, loading) in one style: bar, speed, time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from ollamapy.cli import render
from ollamapy.cli.human import size_words
from ollamapy.cli.wrap import cut, display_width
from ollamapy.dialects.native import ProgressRecord

BAR_COLUMNS = 20
WINDOW_SECONDS = 5.0
DRAW_SECONDS = 0.1  # between two drawings on a terminal
TELL_SECONDS = 10.0  # between two lines elsewhere
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


class Row:
    """One step: how far it is, and how fast it went lately."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.done = 0
        self.total = 0
        self._speed = Speed()
        self.rate = 0.0  # bytes per second

    @property
    def is_complete(self) -> bool:
        """Whether all of it is done; a step without a size never is by itself."""
        return 0 < self.total <= self.done

    def move(self, done: int, total: int, now: float) -> None:
        """Note how far the step is at a moment."""
        self.done, self.total = done, total
        self.rate = self._speed.add(now, done) if total else 0.0

    def line(self, columns: int) -> str:
        """Return the row in that many columns: without its bar, then with less of its label, where it does not fit."""
        for bar_columns in (BAR_COLUMNS, 0):
            words = transfer_words(self.done, self.total, self.rate, bar_columns)
            text = f"{self.label} {words}".rstrip()
            if display_width(text) <= columns:
                return text
        label = cut(self.label, max(columns - len(words) - 2, 1))
        return cut(f"{label}… {words}".rstrip(), columns)


class Progress:
    """Tells on standard error how something long goes on: a row per step, several at once where steps overlap.

    On a terminal the rows change in place. Elsewhere each step is a line when it begins, and one now and then while it
    goes on. With `is_transient` nothing is left behind, and nothing is written where there is no terminal.
    """

    def __init__(self, *, is_transient: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_transient = is_transient
        self._clock = clock
        self._region = render.Region() if render.is_error_terminal() else None
        self._rows: list[Row] = []
        self._told_at = 0.0
        self._complete: set[str] = set()  # labels of rows that are not written any more

    def show(self, label: str, done: int = 0, total: int = 0) -> None:
        """Tell how far a step is; sizes are bytes, a `total` of 0 is a step without a size."""
        if label in self._complete and 0 < total <= done:
            return
        now = self._clock()
        row = next((row for row in self._rows if row.label == label), None)
        is_new = row is None
        if row is None:
            row = Row(label)
            self._rows.append(row)
        row.move(done, total, now)
        if self._region:
            if is_new or row.is_complete or now - self._told_at >= DRAW_SECONDS:
                self._draw(self._region, label)
                self._told_at = now
        elif not self._is_transient:
            self._tell(row, now, is_new=is_new)

    def end(self) -> None:
        """Leave the rows as they are, or take them away if they are transient."""
        if self._region and self._is_transient:
            self._region.wipe()
        elif self._region:
            if self._rows:
                self._draw(self._region, "")
            self._region.leave()
        self._rows = []

    def _draw(self, region: render.Region, current: str) -> None:
        """Write the rows; those at the top that will not change any more are left above for good."""
        columns = render.terminal_columns() - 1
        count = 0
        while count < len(self._rows) and self._is_over(self._rows[count], current):
            count += 1
        self._complete.update(row.label for row in self._rows[:count] if row.is_complete)
        finished, self._rows = ([], self._rows[-1:]) if self._is_transient else (self._rows[:count], self._rows[count:])
        region.draw(
            [row.line(columns) if row.total else row.label for row in finished],
            [row.line(columns) for row in self._rows],
        )

    def _is_over(self, row: Row, current: str) -> bool:
        return row.is_complete or (row.label != current and not row.total)

    def _tell(self, row: Row, now: float, *, is_new: bool) -> None:
        if is_new:
            render.note(row.label)
            self._rows = [other for other in self._rows if other is row or other.total]
            self._told_at = now
        elif row.total and not row.is_complete and now - self._told_at >= TELL_SECONDS:
            render.note(f"{row.label} {transfer_words(row.done, row.total, row.rate, 0)}")
            self._told_at = now


def show_transfer(steps: Iterable[ProgressRecord]) -> None:
    """Show the steps until the last one."""
    progress = Progress()
    try:
        for step in steps:
            progress.show(step.status, step.completed, step.total)
    finally:
        progress.end()


def transfer_words(completed: int, total: int, bytes_per_second: float, bar_columns: int = BAR_COLUMNS) -> str:
    """Return how far a step is: percentage, bar, sizes, speed, time left; "" for a step without a size."""
    if not total:
        return ""
    done = min(completed, total)
    shown = f" ▕{bar(done / total, bar_columns)}▏" if bar_columns else ""
    text = f"{100 * done // total:3d}%{shown} {size_words(done)}/{size_words(total)}"
    if done < total and bytes_per_second > 0:
        text += f"  {size_words(round(bytes_per_second))}/s  {left_words((total - done) / bytes_per_second)}"
    return text


def bar(share: float, columns: int = BAR_COLUMNS) -> str:
    """Return a bar that is filled in eighths of a column."""
    full, rest = divmod(round(share * columns * 8), 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(columns)


def left_words(seconds: float) -> str:
    """Return a time that is left: `45s`, `3m12s`, `2h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m" if whole < 360_000 else "99h+"
