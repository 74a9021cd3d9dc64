"""Freeing the space of what no model needs."""

from __future__ import annotations

import asyncio
import os

import pytest

from ollamapy.actions.prune import YOUNG_SECONDS, prune
from ollamapy.names import Digest, ModelName
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE, Layer, Manifest
from tests.fakes.registry import Puller

LOST, USED, YOUNG, HALF = (Digest.of(data) for data in (b"lost", b"used", b"young", b"half"))


@pytest.fixture
def puller(tmp_path):
    puller = Puller(tmp_path)
    store = puller.store
    for data in (b"lost", b"used", b"young", b"{}"):
        store.put_bytes(data)
    layer = Layer(WEIGHTS_TYPE, USED, 4)
    store.write_manifest(ModelName.parse("m"), Manifest(Layer(CONFIG_TYPE, Digest.of(b"{}"), 2), (layer,)))
    with store.partial_blob(HALF, 4) as partial:
        partial.write(0, b"ha")
    old = store.open_blob(LOST).stat().st_mtime - 2 * YOUNG_SECONDS
    for path in (store.open_blob(LOST), store.open_blob(USED), store.root / "uploads" / f"partial-{HALF.hex}"):
        os.utime(path, (old, old))
    return puller


def run(puller: Puller, *, dry_run: bool) -> list[tuple[str, str]]:
    async def asked() -> list[tuple[str, str]]:
        services = await puller.services()
        record = await prune(services, dry_run=dry_run)
        await services.remotes.close()
        return [(item.kind, item.digest) for item in record.unused]

    return asyncio.run(asked())


def test_old_blobs_and_partials_that_nobody_needs_are_removed(puller):
    expected = [("blob", str(LOST)), ("partial", str(HALF))]
    assert run(puller, dry_run=True) == expected
    assert puller.store.has_blob(LOST)
    assert run(puller, dry_run=False) == expected
    assert [puller.store.has_blob(digest) for digest in (LOST, USED, YOUNG)] == [False, True, True]
    assert run(puller, dry_run=True) == []
