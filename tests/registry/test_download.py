"""What a download keeps of itself while it runs."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from ollamapy.names import Digest, ModelName
from ollamapy.registry import Pace
from ollamapy.registry.disk import Disk
from ollamapy.registry.download import Download
from ollamapy.registry.remotes import Remotes
from ollamapy.registry.throttle import Throttle
from ollamapy.store import PartialBlob
from tests.fakes.registry import FakeRegistry, fake_registry, plain

SIZE = 500_000


class SlowJournal(PartialBlob):
    """A blob whose first journal takes until a second one begins, or for a while; `kept` are the sizes as they end."""

    def __init__(self, root: Path, digest: Digest) -> None:
        super().__init__(root, digest, SIZE)
        self.kept: list[int] = []
        self.begun = 0
        self.second = threading.Event()

    def save(self, done: tuple[tuple[int, int], ...]) -> None:
        self.begun += 1
        if self.begun == 1:
            self.second.wait(0.3)
        else:
            self.second.set()
        super().save(done)
        self.kept.append(sum(end - start for start, end in done))


def test_an_older_journal_never_comes_after_a_newer_one(tmp_path: Path) -> None:
    data = os.urandom(SIZE)

    async def fetch(registry: FakeRegistry, target: SlowJournal) -> None:
        remotes, disk = Remotes((plain(registry),)), Disk()
        repository = remotes.source(ModelName.parse(f"{registry.host}/me/tiny"))
        pace = Pace(streams=3, min_part_bytes=SIZE // 9)
        open_range = lambda first, end: repository.open_blob(target.digest, first, end)  # noqa: E731
        await Download(target, open_range, disk, pace, Throttle()).run()
        await remotes.close()
        disk.close()

    with fake_registry() as registry, SlowJournal(tmp_path, Digest.of(data)) as target:
        registry.add("me/tiny:latest", data)
        asyncio.run(fetch(registry, target))
    assert target.kept == sorted(target.kept)
    assert target.kept[-1] == SIZE
