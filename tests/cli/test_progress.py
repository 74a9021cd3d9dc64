"""How a transfer is shown."""

from __future__ import annotations

import pytest

from ollamapy.cli.progress import Progress, Row, Speed, bar, left_words, transfer_words
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


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


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_elsewhere_than_on_a_terminal_each_step_is_a_line_and_a_long_one_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(clock=clock)
    progress.show("pulling manifest")
    for second in range(26):
        clock.now = 200.0 + second
        progress.show("pulling abc", 4_000_000 * second, 100_000_000)
    progress.show("pulling abc", 100_000_000, 100_000_000)
    progress.show("success")
    progress.end()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "pulling manifest\npulling abc\npulling abc  40% 40 MB/100 MB  4 MB/s  15s\n"
        "pulling abc  80% 80 MB/100 MB  4 MB/s  5s\nsuccess\n"
    )


def test_what_is_transient_is_for_terminals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(is_transient=True)
    progress.show("loading")
    progress.end()
    assert capsys.readouterr() == ("", "")


def test_a_row_gives_up_its_bar_and_then_its_label_but_not_its_numbers() -> None:
    row = Row("copying file sha256:0123456789abcdef")
    row.move(500_000_000, 2_000_000_000, 0.0)
    assert row.line(80) == "copying file sha256:0123456789abcdef  25% ▕█████               ▏ 500 MB/2 GB"
    assert row.line(60) == "copying file sha256:0123456789abcdef  25% 500 MB/2 GB"
    assert row.line(30) == "copying file…  25% 500 MB/2 GB"
    assert len(row.line(5)) == 5
    wide = Row("reading " + "日本" * 10 + ".gguf")
    wide.move(1, 2, 0.0)
    assert wide.line(30) == "reading 日本日本…  50% 1 B/2 B"


def test_on_a_terminal_steps_that_overlap_are_rows_of_their_own(ollamapy: Command, fake: FakeOllama) -> None:
    layers = [{"status": f"pulling {name}", "digest": name, "total": 2 * 10**9} for name in ("aaa", "bbb")]
    fake.remote.add("far")
    fake.pull_steps = [
        {"status": "pulling manifest"},
        {"status": f"a note of {'x' * 100}"},
        *({**layer, "completed": count} for count in (10**9, 15 * 10**8) for layer in layers),
        {**layers[1], "completed": 2 * 10**9},
        {**layers[0], "completed": 2 * 10**9},
        {**layers[0], "completed": 2 * 10**9},
        {"status": "success"},
    ]
    with ollamapy.on_screen("pull", "far") as screen:
        assert screen.wait_for_end() == 0
        assert screen.lines == [
            "pulling manifest",
            f"a note of {'x' * 90}",
            "x" * 10,
            f"pulling aaa 100% ▕{'█' * 20}▏ 2 GB/2 GB",
            f"pulling bbb 100% ▕{'█' * 20}▏ 2 GB/2 GB",
            "success",
        ]
    assert b" 75% " in screen.raw or b" 50% " in screen.raw


def test_a_load_is_shown_while_it_goes_on_and_leaves_nothing_behind(ollamapy: Command, fake: FakeOllama) -> None:
    fake.load("wren:latest", state="loading", progress=0.25, size=4_000_000_000)
    fake.answers_loads.clear()
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.wait_for("loading wren:latest  25% ▕█████               ▏ 1 GB/4 GB")
        fake.answers_loads.set()
        screen.wait_for_prompt()
        assert screen.lines[0].startswith(">>> Send")
