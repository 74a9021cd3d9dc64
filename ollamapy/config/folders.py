"""Where other programs on this machine keep their models.

Source: huggingface_hub's `constants.py`, llama.cpp's `fs_get_cache_directory`, LM Studio's and Ollama's documentation.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_OLLAMA_SERVICES = ("/usr/share/ollama/.ollama/models", "/var/lib/ollama/models", "/var/lib/ollama")


@dataclass(frozen=True, slots=True)
class SourceFolders:
    """Folders of other programs, whether or not they are there."""

    hub: Path
    llama_cpp: Path
    lm_studio: tuple[Path, ...]
    ollama: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        """All of them, in the order in which they are looked at."""
        return (self.hub, self.llama_cpp, *self.lm_studio, *self.ollama)


def source_folders(environ: Mapping[str, str]) -> SourceFolders:
    """Return where models of other programs would be."""
    home = Path(environ.get("HOME") or Path.home())
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    own_cache = home / "Library" / "Caches" if sys.platform == "darwin" else cache
    hub_home = Path(environ.get("HF_HOME") or cache / "huggingface")
    hub = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or hub_home / "hub"
    return SourceFolders(
        hub=Path(hub).expanduser(),
        llama_cpp=Path(environ.get("LLAMA_CACHE") or own_cache / "llama.cpp").expanduser(),
        lm_studio=(_lm_studio_home(home) / "models", cache / "lm-studio" / "models"),
        ollama=(home / ".ollama" / "models", *map(Path, _OLLAMA_SERVICES)),
    )


def _lm_studio_home(home: Path) -> Path:
    """Return LM Studio's folder, which a file names where it was moved."""
    try:
        moved = (home / ".lmstudio-home-pointer").read_text().strip()
    except (OSError, UnicodeDecodeError):
        moved = ""
    return Path(moved) if moved else home / ".lmstudio"
