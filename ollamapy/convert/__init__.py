"""Files that llama.cpp can't load as they are, made into ones that it can."""

from __future__ import annotations

from ollamapy.convert.layouts import Layout, check_layout, find_layout

__all__ = ["Layout", "check_layout", "find_layout"]
