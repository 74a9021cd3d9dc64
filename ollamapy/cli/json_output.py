"""JSON for other programs: the API's own records, indented."""

from __future__ import annotations

import msgspec

from ollamapy.dialects.native import Record


def pretty(record: Record) -> str:
    """Return a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
