from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench_lib.soak import Plan, Report, soak

from tests.conftest import CHECKOUT


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="the soak looks into /proc")
def test_a_daemon_that_is_treated_badly_answers_or_says_why(shared_models: Path, tmp_path: Path) -> None:
    models = [
        shared_models / "gguf" / "stories260K-f32.gguf",
        shared_models / "gguf" / "babyllama361-f16.gguf",
        CHECKOUT / "modelfiles" / "wren" / "wren-q8_0.gguf",
    ]
    report = soak(Plan(seconds=8.0, clients=6, kill_seconds=1.0), models, tmp_path)
    assert report.failures == []
    assert report.outcomes["answered"] > 0


def test_growth_is_told_from_early_to_late_once_there_was_time_for_it() -> None:
    report = Report(rss_bytes=[*[50 << 20] * 30, *[61 << 20] * 30])
    assert report.growth_bytes == 11 << 20
    assert Report(rss_bytes=report.rss_bytes[1:]).growth_bytes is None
    report.failures.append("it grew")
    assert "daemon: 61 MiB resident, grown by 11.0 MiB in 60 seconds" in list(report.lines())
    assert list(report.lines())[-1] == "FAILURE: it grew"
