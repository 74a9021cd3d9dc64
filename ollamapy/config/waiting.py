"""What the user may have told GNU OpenMP about threads that wait.

Source: https://gcc.gnu.org/onlinedocs/libgomp/Environment-Variables.html
"""

from __future__ import annotations

from collections.abc import Mapping

_CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def chooses_waiting(environ: Mapping[str, str]) -> bool:
    """Return whether the user chose how long a computing thread that waits for others spins before it sleeps."""
    return any(environ.get(name) for name in _CHOICES)
