"""Sizes of memory in words, for reasons and refusals."""

from __future__ import annotations


def size_text(size_bytes: int) -> str:
    """Return a size as people read it: `5.2 GiB`, `310 MiB`; less than nothing is nothing."""
    size = max(size_bytes, 0) / (1 << 20)
    return f"{size / 1024:.1f} GiB" if size >= 1024 else f"{size:.0f} MiB"
