"""Lets servers take turns: all but one are stopped by signals, and each one's times are read on a clock of its turns.

A machine whose speed changes from second to second, as a shared one does, then treats all of them alike.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bench_lib.load import Exchange
from bench_lib.processes import process_tree

TREE_TRIES = 3  # a process tree may grow while it is walked


@dataclass(frozen=True, slots=True)
class Turn:
    """A time in which one server ran alone; seconds of one clock."""

    began: float
    ended: float


def take_turns(pids: Sequence[int], loads: Sequence[Future[Any]], seconds: float) -> list[list[Turn]]:
    """Let each process tree run in turn, for so many seconds, until its load is done; return the turns of each."""
    turns: list[list[Turn]] = [[] for _ in pids]
    with stopped(pids):
        while not all(load.done() for load in loads):
            for pid, load, mine in zip(pids, loads, turns, strict=True):
                if load.done():
                    continue
                began = time.perf_counter()
                send_all(pid, signal.SIGCONT)
                wait([load], timeout=seconds)
                mine.append(Turn(began, time.perf_counter()))
                send_all(pid, signal.SIGSTOP)
    return turns


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Stop process trees for the duration of a block, in which some may be continued."""
    for pid in pids:
        send_all(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send_all(pid, signal.SIGCONT)


def send_all(pid: int, number: int) -> None:
    """Send a signal to a process and all its descendants, also to those that come meanwhile."""
    sent: set[int] = set()
    for _ in range(TREE_TRIES):
        for one in process_tree(pid):
            if one not in sent:
                sent.add(one)
                try:
                    os.kill(one, number)
                except ProcessLookupError:  # ended meanwhile
                    continue


def on_own_clock(exchanges: Sequence[Exchange], turns: Sequence[Turn]) -> list[Exchange]:
    """Return the exchanges with times that count the seconds of these turns only."""

    def own(moment: float) -> float:
        return sum(min(turn.ended, moment) - turn.began for turn in turns if turn.began < moment)

    return [
        replace(each, sent=own(each.sent), ended=own(each.ended), times=[own(moment) for moment in each.times])
        for each in exchanges
    ]
