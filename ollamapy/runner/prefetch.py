"""Lets the system read a model's files ahead, so that they are in its page cache when the model is loaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path


def read_ahead(paths: Sequence[str]) -> None:
    """Ask the system to read files into its cache; blocks while it starts to. Does nothing where it can't."""
    for path in paths:
        with contextlib.suppress(OSError), Path(path).open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
