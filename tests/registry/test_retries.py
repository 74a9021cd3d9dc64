"""When requests are sent again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from ollamapy.errors import RegistryUnavailableError
from ollamapy.registry import Retries
from ollamapy.registry.retries import parse_retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_pauses_double_up_to_the_longest():
    retries = Retries(10, 1.0, 20.0)
    assert [retries.pause_seconds(n, None, 0.5) for n in range(1, 8)] == [1, 2, 4, 8, 16, 20, 20]
    assert retries.pause_seconds(1, None, 0.0) < retries.pause_seconds(1, None, 1.0)


def test_the_registry_may_ask_for_more_but_not_for_ever():
    retries = Retries(10, 1.0, 20.0)
    assert retries.pause_seconds(1, 5.0, 0.5) == 5
    assert retries.pause_seconds(1, 9e9, 0.5) == 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("", None),
        ("x", None),
        ("-1", None),
        ("1e9", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert parse_retry_after(text, NOW) == seconds


def test_the_last_failure_is_raised():
    tried = []

    async def fail() -> None:
        tried.append(1)
        raise RegistryUnavailableError(f"try {len(tried)}")

    with pytest.raises(RegistryUnavailableError, match="try 3"):
        asyncio.run(Retries(3, 0.001, 0.001).run(fail))


@pytest.mark.parametrize(("is_unreachable", "tries"), [(True, 2), (False, 6)])
def test_who_is_offline_is_told_soon_before_anything_is_fetched(is_unreachable, tries):
    asked = 0

    async def fail() -> None:
        nonlocal asked
        asked += 1
        raise RegistryUnavailableError("no", is_unreachable=is_unreachable)

    with pytest.raises(RegistryUnavailableError):
        asyncio.run(Retries(6, 0.0, 0.0).at_first.run(fail))
    assert asked == tries
