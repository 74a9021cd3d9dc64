"""Sizes, counts, durations and moments in words, as Ollama's commands print them: pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_BYTE_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))
_HOURS_PER_YEAR = 24 * 365
FOREVER_YEARS = 20


def size_words(size_bytes: int) -> str:
    """Return a size in decimal units: `2.0 GB`, whole numbers from 10 on."""
    for unit, name in _BYTE_UNITS:
        if size_bytes >= unit:
            value = size_bytes / unit
            return f"{value:.1f} {name}" if value < 10 and value != int(value) else f"{int(value)} {name}"
    return f"{size_bytes} B"


def count_words(count: int) -> str:
    """Return a number of parameters: `3.2B`, `4.07M`, `12K`."""
    if count >= 10**9:
        return _shortened(count / 10**9, 1) + "B"
    if count >= 10**6:
        return _shortened(count / 10**6, 2) + "M"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)


def _shortened(value: float, digits: int) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.{digits}f}"


def duration_words(seconds: float) -> str:
    """Return a duration roughly: `4 minutes`, `About an hour`."""
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    minutes = int(seconds // 60)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = math.floor(seconds / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{int(seconds // 3600) // _HOURS_PER_YEAR} years"


def moment_words(moment: datetime | None, now: datetime) -> str:
    """Return how far a moment is away: `2 days ago`, `4 minutes from now`, `Forever`, or `Never` for none."""
    if moment is None:
        return "Never"
    seconds = (now - moment).total_seconds()
    if -seconds / 3600 > (FOREVER_YEARS + 1) * _HOURS_PER_YEAR:
        return "Forever"
    return f"{duration_words(seconds)} ago" if seconds >= 0 else f"{duration_words(-seconds)} from now"


def parse_moment(text: str) -> datetime | None:
    """Read a moment of the API; None for text that is none and for Go's zero time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year <= 1:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def exact_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: `1m2.5s`, `3.25ms`, `0s`."""
    if nanoseconds < 10**9:
        for unit, name in ((10**6, "ms"), (10**3, "µs"), (1, "ns")):
            if nanoseconds >= unit:
                return _trimmed(nanoseconds, unit) + name
        return "0s"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + _trimmed(rest, 10**9) + "s"


def _trimmed(value: int, unit: int) -> str:
    """Return value / unit with all its decimal digits and no zeros behind them."""
    whole, rest = divmod(value, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
