from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ollamapy.errors import DiskFullError, InvalidFileError
from ollamapy.store import Store
from tests.store.conftest import tree

CONTENT = b"GGUF" + bytes(3 << 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def shares_blocks(tmp_path: Path) -> bool:
    """Whether this file system can give two files the same blocks."""
    (tmp_path / "probed").write_bytes(b"x")
    return Store(tmp_path / "probe").place_file(tmp_path / "probed").how == "reflink"


def test_a_file_becomes_a_blob_of_its_own(store: Store, source: Path, shares_blocks: bool) -> None:
    seen: list[int] = []
    placed = store.place_file(source, on_bytes=seen.append)
    assert placed.digest.hex == hashlib.sha256(CONTENT).hexdigest()
    assert placed.how == ("reflink" if shares_blocks else "copy")
    assert (seen[-1], seen) == (len(CONTENT), sorted(seen))
    source.write_bytes(b"changed")
    assert store.open_blob(placed.digest).read_bytes() == CONTENT


def test_a_file_is_linked_where_that_is_asked_for(store: Store, source: Path, shares_blocks: bool) -> None:
    placed = store.place_file(source, link=True)
    assert placed.how == ("reflink" if shares_blocks else "hardlink")
    assert store.open_blob(placed.digest).samefile(source) is not shares_blocks
    assert store.place_file(source, link=True).how in ("there", "reflink")
    assert tree(store.root / "uploads") == set()


def test_a_link_to_a_file_is_that_file(store: Store, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.gguf").symlink_to(source)
    placed = store.place_file(tmp_path / "link.gguf", link=True)
    assert not store.open_blob(placed.digest).is_symlink()
    assert store.open_blob(placed.digest).read_bytes() == CONTENT


def test_what_another_program_has_stays_when_the_blob_goes(store: Store, source: Path) -> None:
    placed = store.place_file(source, link=True)
    assert store.prune([placed.digest]) == [placed.digest]
    assert source.read_bytes() == CONTENT


def test_a_damaged_blob_is_replaced(store: Store, source: Path) -> None:
    damaged = store.open_blob(store.place_file(source).digest)
    damaged.write_bytes(CONTENT[:-1] + b"x")
    assert store.place_file(source, link=True).how in ("hardlink", "reflink")
    assert damaged.read_bytes() == CONTENT


def test_what_is_no_file_is_refused(store: Store, tmp_path: Path) -> None:
    store.check_writable()
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none"):
        with pytest.raises(InvalidFileError):
            store.place_file(path)
    assert tree(store.root / "blobs") == set()


class Full(Store):
    """A store on a disk without room."""

    def check_free(self, needed: int) -> None:
        raise DiskFullError(f"{needed} bytes are needed")


def test_a_copy_that_does_not_fit_is_told_before_it_is_made(source: Path, tmp_path: Path, shares_blocks: bool) -> None:
    if shares_blocks:
        pytest.skip("this file system shares blocks, so that nothing is copied")
    store = Full(tmp_path / "full")
    with pytest.raises(DiskFullError, match=str(len(CONTENT))):
        store.place_file(source)
    assert tree(store.root / "uploads") == set()
