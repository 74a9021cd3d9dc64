"""The host's memory, and how many tokens a model's KV cache may hold."""

from __future__ import annotations

import os
from pathlib import Path

MOST_PARALLEL = 16  # requests of full length that a pool is sized for where nothing else is configured
LEAST_SEQUENCES = 64
CELLS_PER_SEQUENCE = 64
SHARE_OF_FREE = 4  # the pool gets at most one part in so many of the free memory
UNKNOWN_FREE_BYTES = 4 << 30
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def pool_cells(num_ctx: int, parallel: int, free_bytes: int, bytes_per_token: int) -> int:
    """Return how many tokens the KV pool shall hold: pure.

    1. A configured `parallel` (0: none is) gets room for that many requests of full length.
    2. Else as many as fit a quarter of the free memory, at least one and at most 16.
    """
    if parallel > 0:
        return num_ctx * parallel
    affordable = free_bytes // SHARE_OF_FREE // max(bytes_per_token, 1)
    return min(max(affordable, num_ctx), num_ctx * MOST_PARALLEL)


def pool_sequences(most: int, n_ctx: int, parallel: int) -> int:
    """Return how many sequences and remembered prefixes share a pool of `n_ctx` cells: pure.

    llama.cpp keeps a row of logits for each, which a large vocabulary makes half a megabyte long.
    """
    return min(most, max(LEAST_SEQUENCES, parallel, n_ctx // CELLS_PER_SEQUENCE))


def free_memory_bytes() -> int:
    """Return how much memory can be used without swapping: the machine's, within the limit of our control group."""
    free = _available_bytes()
    for limit_path, usage_path in CGROUPS:
        limit, usage = _read_number(limit_path), _read_number(usage_path)
        if limit is not None and usage is not None:
            free = min(free, max(limit - usage, 0))
    return free


def total_memory_bytes() -> int:
    """Return the machine's memory, or the limit of our control group where that is less."""
    limits = [limit for path, _ in CGROUPS if (limit := _read_number(path)) is not None]
    return min([_physical_bytes(), *limits])


def _available_bytes() -> int:
    """Return what Linux says; elsewhere three quarters of all, because the rest is not told."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _physical_bytes() // 4 * 3
    kibibytes = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
    return kibibytes << 10 if kibibytes else _physical_bytes() // 4 * 3


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return UNKNOWN_FREE_BYTES


def _read_number(path: str) -> int | None:
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
