from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from ollamapy.worker.waiting import LOOK_SECONDS, Processors, Waiting, is_contended, read_processors

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
BEFORE = Processors(run=10.0, waited=1.0)


@dataclass
class RecordedTeam:
    """Remembers what it was told."""

    told: list[str] = field(default_factory=list)

    def hold(self) -> None:
        self.told.append("hold")

    def release(self) -> None:
        self.told.append("release")


@pytest.mark.parametrize(
    ("waited", "before", "after"),
    [(0.03, False, False), (0.03, True, False), (0.15, False, False), (0.15, True, True), (0.9, False, True)],
)
def test_between_clear_answers_it_stays_as_it_was(waited: float, before: bool, after: bool) -> None:
    assert is_contended(BEFORE, Processors(11.0, 1.0 + waited), before) is after


def test_threads_sleep_early_until_the_processors_are_free_and_again_when_others_want_them() -> None:
    team, seen = RecordedTeam(), iter([BEFORE, Processors(11.0, 1.02), Processors(12.0, 1.9), Processors(13.0, 2.8)])
    waiting = Waiting(team, lambda: next(seen))
    assert team.told == ["hold"]
    for second in range(1, 4):
        waiting.look(second * LOOK_SECONDS)
        waiting.look(second * LOOK_SECONDS + 0.1)  # too soon: reads nothing
    assert team.told == ["hold", "release", "hold"]


def test_it_looks_again_as_soon_as_enough_has_run() -> None:
    team, reads = RecordedTeam(), iter([BEFORE, Processors(10.05, 1.0), Processors(10.3, 1.001)])
    waiting = Waiting(team, lambda: next(reads))
    waiting.look(LOOK_SECONDS)
    waiting.look(LOOK_SECONDS + 0.02)
    assert team.told == ["hold", "release"]


@pytest.mark.parametrize(
    "seen", [None, Processors(10.01, 1.0), Processors(9.0, 0.5)], ids=["unknown", "idle", "a thread ended"]
)
def test_what_tells_nothing_changes_nothing(seen: Processors | None) -> None:
    team, reads = RecordedTeam(), iter([BEFORE, seen])
    Waiting(team, lambda: next(reads)).look(LOOK_SECONDS)
    assert team.told == ["hold"]


def test_a_thread_that_ended_takes_its_time_along_and_the_next_look_counts_from_there() -> None:
    team, reads = RecordedTeam(), iter([BEFORE, Processors(2.0, 0.2), Processors(3.0, 0.21)])
    waiting = Waiting(team, lambda: next(reads))
    waiting.look(LOOK_SECONDS)
    waiting.look(2 * LOOK_SECONDS)
    assert team.told == ["hold", "release"]


@pytest.mark.skipif(read_processors() is None, reason="this kernel does not tell how long threads wait")
def test_the_kernel_tells_how_long_threads_ran() -> None:
    before = read_processors()
    total = sum(range(3_000_000))
    now = read_processors()
    assert total
    assert before is not None
    assert now is not None
    assert now.run > before.run
    assert now.waited >= before.waited


HELD_AND_RELEASED = """
import os, sys, threading
from llama_cpp import llama_cpp
from ollamapy.worker.waiting import idle_team

def threads():
    return len(os.listdir("/proc/self/task"))

team = idle_team(int(sys.argv[1]))
if team is None:
    raise SystemExit(0)
alone = threads()
team.hold()
team.hold()
(thread,) = (thread for thread in threading.enumerate() if thread.name == "idle team")
while threads() < alone + int(sys.argv[2]):
    pass
held = threads()
team.release()
team.release()
thread.join()
while threads() > alone:
    pass
print(held - alone, flush=True)
"""


@pytest.mark.parametrize("n_threads", [1, PROCESSORS, 1000])
def test_with_a_held_team_there_are_more_threads_than_processors_and_a_released_one_is_gone(n_threads: int) -> None:
    expected = max(PROCESSORS + 2 - n_threads, 2)
    argv = [sys.executable, "-c", HELD_AND_RELEASED, str(n_threads), str(expected)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    if not done.stdout:
        pytest.skip("llama.cpp was built without GNU OpenMP here")
    assert int(done.stdout) == expected


ELSEWHERE = """
import os
from ollamapy.worker.waiting import idle_team

del os.sched_getaffinity  # macOS has none
print(idle_team(2))
"""


def test_without_gnu_openmp_there_is_no_team() -> None:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert done.stdout == "None\n"
