"""Uploaded blobs: an upload that is cancelled waits for its thread before its file is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ollamapy.actions.blobs import WRITE_BYTES, receive_blob
from ollamapy.names import Digest
from ollamapy.store import BlobWriter, Store
from tests.fakes.registry import Puller


class SlowDisk(Store):
    """A store whose disk takes its time, until `gate` is open; `closed_early` tells of a file closed under a write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate, self.writing, self.closed_early = threading.Event(), threading.Event(), False

    def blob_writer(self) -> BlobWriter:
        disk = self

        class Slow(BlobWriter):
            is_writing = False

            def write(self, data: bytes) -> None:
                self.is_writing = True
                disk.writing.set()
                disk.gate.wait()
                super().write(data)
                self.is_writing = False

            def __exit__(self, *why: object) -> None:
                disk.closed_early |= self.is_writing
                super().__exit__(*why)  # type: ignore[arg-type]

        return Slow(self.root)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(WRITE_BYTES)
        await asyncio.sleep(0)


def test_a_cancelled_upload_closes_its_file_only_when_nothing_writes_to_it(tmp_path: Path) -> None:
    puller = Puller(tmp_path)
    store = puller.store = SlowDisk(tmp_path / "models")

    async def upload() -> None:
        services = await puller.services()
        task = asyncio.create_task(receive_blob(services, str(Digest("0" * 64)), endless()))
        await asyncio.to_thread(store.writing.wait)
        task.cancel()
        await asyncio.wait((task,), timeout=0)  # the cancellation reaches the upload while its thread still writes
        store.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await services.remotes.close()

    asyncio.run(upload())
    assert not store.closed_early
    assert list((store.root / "uploads").iterdir()) == []
