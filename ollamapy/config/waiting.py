"""How the computing threads of a worker wait for each other: what its environment tells GNU OpenMP.

Source: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
"""

from __future__ import annotations

from collections.abc import Mapping

SPIN_COUNT = 1000  # pauses before a thread sleeps; measured, see docs/performance.md
_CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker; what the user chose there about waiting stays.

    Threads meet at a barrier after each operation. By default one that waits keeps its core for milliseconds, also
    where the thread that it waits for could run there: beside other programs every step would lose a time slice.
    """
    if any(environ.get(name) for name in _CHOICES):
        return {**environ}
    return {**environ, "GOMP_SPINCOUNT": str(SPIN_COUNT)}
