"""How many processor cores are worth using."""

from __future__ import annotations

import os
from pathlib import Path


def physical_cores() -> int:
    """Count the physical cores that this process may use; hyper-threads don't speed up matrix products."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_core_of(cpu) for cpu in usable}
    return max(1, len(cores))


def _core_of(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
