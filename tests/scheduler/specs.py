"""Load specs for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from ollamapy import wire
from ollamapy.scheduler.spec import LoadSpec


def make_spec(key: str = "a", num_ctx: int = 4096, **load: Any) -> LoadSpec:
    """Return the spec of a model that is called as its key."""
    base = wire.LoadModel(path=f"/blobs/{key}", adapters=[], n_ctx=num_ctx)
    return LoadSpec(key, key, msgspec.structs.replace(base, **load), num_ctx)
