from __future__ import annotations

from ollamapy.scheduler.backoff import Failure, FailureKind, find_block


def failures(kind: FailureKind, *times: float) -> list[Failure]:
    return [Failure(at, kind, f"reason {at:g}") for at in times]


def test_two_failed_loads_block_nothing() -> None:
    assert find_block(failures("load", 1, 2), 3) is None


def test_the_third_failed_load_within_30_seconds_blocks_until_the_first_is_forgotten() -> None:
    block = find_block(failures("load", 1, 10, 20), 21)
    assert block is not None
    assert "failed 3 times" in block.reason
    assert "possible in 10 seconds" in block.reason
    assert block.seconds == 10
    assert block.reason.endswith("reason 20")
    assert find_block(failures("load", 1, 10, 20), 31) is None


def test_failures_far_apart_block_nothing() -> None:
    assert find_block(failures("load", 1, 20, 40), 41) is None


def test_workers_that_end_while_answering_are_forgiven_more_often() -> None:
    assert find_block(failures("exit", 1, 2, 3, 4, 5), 6) is None
    assert find_block(failures("exit", 1, 2, 3, 4, 5, 6), 7) is not None
