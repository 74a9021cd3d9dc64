"""When a request that failed is sent again: pure, but for the waiting itself."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from ollamapy.errors import RegistryUnavailableError

T = TypeVar("T")
RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Retries:
    """`tries` in all, a pause that doubles from `first_seconds`, and no pause above `longest_seconds`.

    `connect_tries` is how often a connection is tried.
    """

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    connect_tries: int = 6

    @property
    def at_first(self) -> Retries:
        """For requests before anything is fetched: whoever is offline wants to know soon."""
        return replace(self, connect_tries=min(2, self.connect_tries))

    @property
    def of_mirror(self) -> Retries:
        """For a mirror, in whose place another registry can be asked."""
        return replace(self, tries=min(2, self.tries), connect_tries=1)

    def pause_seconds(self, failures: int, asked_seconds: float | None, chance: float) -> float:
        """Return how long to wait after a number of failures; `chance` from 0 to 1 spreads clients apart."""
        own = self.first_seconds * 2.0 ** min(failures - 1, 16) * (0.75 + chance / 2)
        return min(max(own, asked_seconds or 0.0), self.longest_seconds)

    async def wait(self, failures: int, failure: RegistryUnavailableError) -> None:
        """Wait before the next try, or raise the failure where there is none left."""
        if failures >= (self.connect_tries if failure.is_unreachable else self.tries):
            raise failure
        chance = random.random()  # noqa: S311 - no secret
        await asyncio.sleep(self.pause_seconds(failures, failure.retry_after_seconds, chance))

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what an attempt returns, trying again while the registry is unavailable."""
        failures = 0
        while True:
            try:
                return await attempt()
            except RegistryUnavailableError as exc:
                failures += 1
                await self.wait(failures, exc)


def parse_retry_after(text: str, now: datetime | None = None) -> float | None:
    """Read a Retry-After header, a number of seconds or a date, as seconds from now; None for anything else."""
    if re.fullmatch(r"[0-9]{1,6}", text.strip()):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
