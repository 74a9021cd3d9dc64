"""A set of byte ranges: which parts of a file are there. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Half-open ranges `[start, end)` of bytes, sorted and never touching each other."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total_bytes = 0
        for start, end in ranges:
            self.add(start, end)

    def __repr__(self) -> str:
        return f"Ranges({list(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    @property
    def frontier(self) -> int:
        """Where the range that begins at 0 ends; 0 without one."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    def add(self, start: int, end: int) -> None:
        """Add a range, which may overlap others; an empty one changes nothing."""
        if start >= end:
            return
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        replaced = sum(self._ends[first:last]) - sum(self._starts[first:last])
        self._starts[first:last], self._ends[first:last] = [start], [end]
        self.total_bytes += end - start - replaced

    def missing(self, size_bytes: int) -> list[tuple[int, int]]:
        """Return what lacks of a file of that size."""
        gaps, at = [], 0
        for start, end in self:
            if at < min(start, size_bytes):
                gaps.append((at, min(start, size_bytes)))
            at = end
        if at < size_bytes:
            gaps.append((at, size_bytes))
        return gaps
