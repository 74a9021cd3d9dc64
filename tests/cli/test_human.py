"""Numbers and moments in Ollama's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ollamapy.cli.human import count_words, duration_words, exact_duration, moment_words, parse_moment, size_words

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = 3600.0
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 KB"), (1500, "1.5 KB"), (5_508_256, "5.5 MB"), (9_990_000, "10.0 MB"),
        (10_999_999, "10 MB"), (2_019_393_189, "2.0 GB"), (2_000_000_000, "2 GB"), (47_000_000_000, "47 GB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)  # fmt: skip
def test_sizes_have_decimal_units(size: int, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(12, "12"), (1500, "2K"), (4_070_000, "4.07M"), (7_000_000, "7M"), (3_212_749_888, "3.2B"), (8 * 10**9, "8B")],
)
def test_counts_are_shortened(count: int, words: str) -> None:
    assert count_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"), (1.9, "1 second"), (59.9, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"), (120, "2 minutes"), (HOUR - 1, "59 minutes"), (HOUR, "About an hour"),
        (1.4 * HOUR, "About an hour"), (1.5 * HOUR, "2 hours"), (47 * HOUR, "47 hours"), (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"), (14 * DAY, "2 weeks"), (59 * DAY, "8 weeks"), (60 * DAY, "2 months"),
        (729 * DAY, "24 months"), (730 * DAY, "2 years"),
    ],
)  # fmt: skip
def test_durations_are_rough(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_moments_are_before_or_after_now() -> None:
    assert moment_words(NOW - timedelta(days=3), NOW) == "3 days ago"
    assert moment_words(NOW + timedelta(minutes=4, seconds=59), NOW) == "4 minutes from now"
    assert moment_words(NOW + timedelta(days=292 * 365), NOW) == "Forever"
    assert moment_words(None, NOW) == "Never"


@pytest.mark.parametrize("text", ["", "soon", "0001-01-01T00:00:00Z"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert parse_moment(text) is None


def test_moments_of_go_have_nine_digits_and_an_offset() -> None:
    moment = parse_moment("2026-01-02T03:04:05.123456789+02:00")
    assert moment == datetime(2026, 1, 2, 1, 4, 5, 123456, UTC)
    assert parse_moment("2026-01-02T03:04:05") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (7, "7ns"), (1_500, "1.5µs"), (3_250_000, "3.25ms"), (999_999_999, "999.999999ms"),
        (10**9, "1s"), (2_500_000_000, "2.5s"), (62_500_000_000, "1m2.5s"), (3_600_000_000_000, "1h0m0s"),
        (3_723_000_000_004, "1h2m3.000000004s"),
    ],
)  # fmt: skip
def test_exact_durations_are_gos(nanoseconds: int, text: str) -> None:
    assert exact_duration(nanoseconds) == text
