"""What the llama.cpp that is installed computes in its own way: `scripts/llama` changes one that is compiled here."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib.resources import files
from pathlib import Path


def attends_in_tiles(cache_type: str) -> bool:
    """Whether attention on a CPU takes many rows together, and then computes the cells of all streams for each.

    llama.cpp's own does, over F16 and F32 cells; ours, over F16 cells where there is AVX-512, does not.
    """
    return cache_type in ("f16", "f32") and not (cache_type == "f16" and _attends_in_blocks())


def _attends_in_blocks() -> bool:
    folder = Path(str(files("llama_cpp"))) / "lib"
    for path in folder.glob("*ggml-cpu*"):
        with suppress(OSError, AttributeError):
            return bool(ctypes.CDLL(str(path)).ggml_cpu_attends_in_blocks())
    return False
