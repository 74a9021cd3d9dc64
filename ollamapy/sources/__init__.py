"""Models that other programs on this machine have: finding them, and nothing else; they are never changed."""

from __future__ import annotations

from ollamapy.sources.found import Found, find_models

__all__ = ["Found", "find_models"]
