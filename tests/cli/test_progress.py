"""How a transfer is shown."""

from __future__ import annotations

import pytest

from ollamapy.cli.progress import Speed, bar, left_words, transfer_words


def test_a_layer_is_told_with_its_bar_speed_and_time_left() -> None:
    text = transfer_words(500_000_000, 2_000_000_000, 30e6)
    assert text == " 25% ▕█████               ▏ 500 MB/2 GB  30 MB/s  50s"
    assert transfer_words(5, 5, 30e6) == "100% ▕████████████████████▏ 5 B/5 B"
    assert transfer_words(0, 0, 0) == ""


def test_a_bar_is_filled_in_eighths() -> None:
    assert bar(0) == " " * 20
    assert bar(1 / 160) == "▏" + " " * 19
    assert bar(1) == "█" * 20


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (192, "3m12s"), (7500, "2h05m"), (1e9, "99h+")]
)
def test_the_time_that_is_left_is_short(seconds: float, text: str) -> None:
    assert left_words(seconds) == text


def test_the_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed()
    assert speed.add(0.0, 0) == 0
    assert speed.add(0.05, 1000) == 0
    assert speed.add(1.0, 1000) == 1000
    assert speed.add(100.0, 1000) == 0
    assert speed.add(101.0, 3000) == 2000
