"""What remembers where an upload goes on."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ollamapy.names import Digest
from ollamapy.store import Store
from ollamapy.store.upload_journal import KEPT_SECONDS

DIGEST = Digest.of(b"weights")
REPOSITORY = "https://reg.example/v2/team/model"
ADDRESS = f"{REPOSITORY}/blobs/uploads/1?state=x"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def journals(store: Store) -> list[Path]:
    return list((store.root / "uploads").glob("push-*"))


def test_what_was_written_last_is_there_the_next_time_for_this_blob_and_repository_alone(store: Store) -> None:
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        assert journal.read() == ""
        journal.write(ADDRESS + "&longer=yes")
        journal.write(ADDRESS)
    (kept,) = journals(store)
    assert kept.stat().st_mode & 0o777 == 0o600
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        assert journal.read() == ADDRESS
    for repository, digest in ((REPOSITORY + "2", DIGEST), (REPOSITORY, Digest.of(b"other"))):
        with store.upload_journal(repository, digest) as journal:
            assert journal.read() == ""
    assert journals(store) == [kept]


def test_what_is_done_leaves_no_file(store: Store) -> None:
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        journal.write(ADDRESS)
        journal.write("")
    assert journals(store) == []


def test_who_comes_second_keeps_nothing_and_disturbs_nobody(store: Store) -> None:
    with store.upload_journal(REPOSITORY, DIGEST) as first:
        first.write(ADDRESS)
        with store.upload_journal(REPOSITORY, DIGEST, wait_seconds=0) as second:
            assert second.read() == ""
            second.write("https://elsewhere")
        assert first.read() == ADDRESS


def test_who_comes_while_another_push_ends_goes_on_with_its_upload(store: Store) -> None:
    def take() -> str:
        with store.upload_journal(REPOSITORY, DIGEST, wait_seconds=60) as journal:
            return journal.read()

    with ThreadPoolExecutor() as threads:
        with store.upload_journal(REPOSITORY, DIGEST) as first:
            taking = threads.submit(take)
            first.write(ADDRESS)
        assert taking.result() == ADDRESS


def test_what_nobody_went_on_with_for_long_is_deleted(store: Store) -> None:
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        journal.write(ADDRESS)
    long_ago = time.time() - KEPT_SECONDS - 60
    os.utime(journals(store)[0], (long_ago, long_ago))
    with store.upload_journal(REPOSITORY, Digest.of(b"other")):
        pass
    assert journals(store) == []


def test_a_link_in_its_place_is_not_followed_and_a_push_goes_without(store: Store, tmp_path: Path) -> None:
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        journal.write(ADDRESS)
    (kept,) = journals(store)
    kept.unlink()
    target = tmp_path / "target"
    target.write_text(ADDRESS)
    kept.symlink_to(target)
    with store.upload_journal(REPOSITORY, DIGEST) as journal:
        journal.write("gone")
        assert journal.read() == ""
    assert target.read_text() == ADDRESS


def test_a_push_goes_without_where_the_store_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Store(tmp_path / "file").upload_journal(REPOSITORY, DIGEST) as journal:
        journal.write(ADDRESS)
        assert journal.read() == ""
