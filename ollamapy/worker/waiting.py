"""How the threads of a decode wait for each other: spinning while processors are free, asleep where others need them.

The threads meet after each operation. GNU OpenMP lets one that waits spin for milliseconds, which is fastest on a
quiet machine; beside other programs it then holds the processor that the thread it waits for needs, and each step
loses time slices. OpenMP spins for microseconds only while it has more threads than there are processors, so a team of
threads that do nothing tells it that others want them.

Sources: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html,
https://docs.kernel.org/scheduler/sched-stats.html (/proc/<pid>/schedstat)
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Protocol

logger = logging.getLogger("ollamapy.worker.waiting")

LOOK_SECONDS = 1.0
LEAST_RUN_SECONDS = 0.2  # less tells nothing
CONTENDED, FREE = 0.25, 0.1  # seconds of waiting for a processor for each second on one
TASKS, MAPS = Path("/proc/self/task"), Path("/proc/self/maps")


@dataclass(frozen=True, slots=True)
class Processors:
    """Seconds that all threads of this process ran, and that they were ready and waited for a processor."""

    run: float = 0.0
    waited: float = 0.0


class Team(Protocol):
    """What makes OpenMP's threads sleep early while it is held."""

    def hold(self) -> None: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


def is_contended(before: Processors, now: Processors, was_contended: bool) -> bool:
    """Return whether other programs want the processors; between clearly yes and clearly no, it stays as it was."""
    ratio = (now.waited - before.waited) / (now.run - before.run)
    return ratio > (FREE if was_contended else CONTENDED)


def read_processors() -> Processors | None:
    """Return the times of this process so far, or None where the kernel does not tell."""
    run = waited = 0
    try:
        for task in TASKS.iterdir():
            fields = (task / "schedstat").read_text().split()
            run, waited = run + int(fields[0]), waited + int(fields[1])
    except (OSError, ValueError, IndexError):
        return None
    return Processors(run / 1e9, waited / 1e9)


class Waiting:
    """Watches whether processors are free, and holds the team while they aren't, or while nothing is known."""

    def __init__(self, team: Team | None, read: Callable[[], Processors | None] = read_processors) -> None:
        self._team, self._read = team, read
        self._is_contended = True
        self._known = read() or Processors()
        self._looked = 0.0
        if team is not None:
            team.hold()

    def look(self, now: float) -> None:
        """Hold or release the team by what happened since the last look; `now` in seconds.

        It is done at most once a second, and as soon as enough has run for that.
        """
        if self._team is None or now - self._looked < LOOK_SECONDS:
            return
        seen = self._read()
        if seen is not None and 0 <= seen.run - self._known.run < LEAST_RUN_SECONDS:
            return
        self._looked = now
        if seen is None:
            return
        if seen.run < self._known.run:  # a thread has ended and took its time along
            self._known = seen
            return
        contended = is_contended(self._known, seen, self._is_contended)
        self._known = seen
        if contended != self._is_contended:
            self._is_contended = contended
            logger.debug("other programs want the processors: %s", contended)
            self._team.hold() if contended else self._team.release()


def idle_team(n_threads: int) -> IdleTeam | None:
    """Return a team where GNU OpenMP is loaded, with as many threads as make its threads more than the processors.

    `n_threads` of OpenMP compute.
    """
    libraries = []
    for path in _libgomp_paths():
        with suppress(OSError):  # replaced since, by an update
            libraries.append(ctypes.CDLL(path))
    if not libraries:
        return None
    size = max(len(os.sched_getaffinity(0)) - n_threads, 0) + 2  # the thread that begins a team counts no second time
    return IdleTeam(libraries, size)


def _libgomp_paths() -> set[str]:
    """Return where the library's copies lie that this process has loaded; wheels have copies with longer names."""
    try:
        rows = [line.split(maxsplit=5) for line in MAPS.read_text().splitlines()]
    except OSError:
        return set()
    return {row[5] for row in rows if len(row) > 5 and re.match(r"libgomp[.-].*so", Path(row[5]).name)}


class IdleTeam:
    """A team of OpenMP threads that do nothing; it lives as long as the thread it began in.

    Every loaded copy of the library gets one.
    """

    def __init__(self, libraries: Sequence[ctypes.CDLL], size: int) -> None:
        self._libraries, self._size = libraries, size
        self._ending: Event | None = None

    def hold(self) -> None:
        """Begin the team, if there is none."""
        if self._ending is None:
            ending = Event()
            try:
                Thread(target=self._live, args=(ending,), name="idle team", daemon=True).start()
            except RuntimeError:  # no thread is allowed beyond those that there are
                return
            self._ending = ending

    def release(self) -> None:
        """Let the team end, if there is one."""
        if self._ending is not None:
            self._ending.set()
            self._ending = None

    def _live(self, ending: Event) -> None:
        nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL)
        for library in self._libraries:
            library.GOMP_parallel(nothing, None, self._size, 0)
        ending.wait()
