"""JSON for other programs: the API's own records, indented or in a line each, and vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ollamapy.dialects.native import Record
from ollamapy.types import Json


def pretty(record: Record) -> str:
    """Return a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()


def indented(fields: Mapping[str, Json]) -> str:
    """Return values that are no answer of the API as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode()


def one_line(record: Record) -> str:
    """Return a record as JSON in one line."""
    return msgspec.json.encode(record).decode()


def compact(vector: Sequence[float]) -> str:
    """Return a vector as a JSON array in one line."""
    return msgspec.json.encode(vector).decode()
