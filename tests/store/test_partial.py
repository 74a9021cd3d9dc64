"""Blobs that arrive in parts."""

from __future__ import annotations

import json
import os

import pytest

from ollamapy.errors import DigestMismatchError, StoreError
from ollamapy.names import Digest
from ollamapy.store import Store
from ollamapy.store.partial import list_partials, partial_bytes, remove_partial

DATA = os.urandom(100_000)
DIGEST = Digest.of(DATA)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


def put(partial, start, end):
    partial.write(start, DATA[start:end])
    partial.done.add(start, end)


def names(store):
    return sorted(path.name for path in (store.root / "uploads").iterdir())


def journal(store):
    return store.root / "uploads" / f"partial-{DIGEST.hex}.json"


def test_parts_in_any_order_make_a_blob(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 50_000, 100_000)
        assert partial.done.frontier == 0
        put(partial, 0, 50_000)
        partial.hash_to(30_000)
        partial.hash_to(len(DATA))
        assert not store.has_blob(DIGEST)
        partial.publish()
    assert store.open_blob(DIGEST).read_bytes() == DATA
    assert names(store) == []


def test_what_was_saved_is_there_the_next_time(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 10, 500)
        partial.save(tuple(partial.done))
        put(partial, 600, 700)
    assert partial_bytes(store.root, DIGEST) == 490
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        assert (list(partial.done), partial.is_resumed) == ([(10, 500)], True)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"size":1,"done":[[0,1]]}', '{"size":100000,"done":[[0,200000],[-5,1],[7,3]]}', "\xff", "null"],
)
def test_a_journal_of_no_sense_counts_as_none(store, text):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 0, 500)
        partial.save(tuple(partial.done))
    journal(store).write_text(text, "latin-1")
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        assert (list(partial.done), partial.is_resumed) == ([], False)


def test_a_file_that_was_cut_counts_as_far_as_it_goes(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 0, 500)
        put(partial, 1000, 2000)
        partial.save(tuple(partial.done))
    os.truncate(store.root / "uploads" / f"partial-{DIGEST.hex}", 800)
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        assert list(partial.done) == [(0, 500)]


def test_other_content_is_not_published_and_can_be_begun_anew(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        partial.write(0, b"x" * len(DATA))
        partial.done.add(0, len(DATA))
        partial.hash_to(len(DATA))
        with pytest.raises(DigestMismatchError):
            partial.publish()
        partial.reset()
        put(partial, 0, len(DATA))
        partial.hash_to(len(DATA))
        partial.publish()
    assert store.open_blob(DIGEST).read_bytes() == DATA


def test_a_blob_that_is_not_hashed_to_its_end_is_not_published(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 0, len(DATA))
        partial.hash_to(5)
        with pytest.raises(DigestMismatchError):
            partial.publish()


def test_nothing_is_written_beyond_the_size(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial, pytest.raises(StoreError, match="more bytes"):
        partial.write(len(DATA) - 1, b"ab")


def test_one_writer_at_a_time(store):
    with store.partial_blob(DIGEST, len(DATA)):
        with pytest.raises(StoreError, match="another program"), store.partial_blob(DIGEST, len(DATA)):
            pass
        assert not remove_partial(store.root, DIGEST)


def test_partials_are_listed_by_age_and_removed_with_their_journals(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 0, 5000)
        partial.save(tuple(partial.done))
    (store.root / "uploads" / "partial-foreign").write_text("")
    assert list_partials(store.root, older_than=0) == []
    [(digest, size)] = list_partials(store.root, older_than=1e12)
    assert (digest, size > 0) == (DIGEST, True)
    assert remove_partial(store.root, DIGEST)
    assert not remove_partial(store.root, DIGEST)
    assert names(store) == ["partial-foreign"]


def test_unfinished_blobs_survive_the_sweep_of_other_writers(store):
    with store.partial_blob(DIGEST, len(DATA)) as partial:
        put(partial, 0, 5000)
        partial.save(tuple(partial.done))
    store.put_bytes(b"other")
    assert json.loads(journal(store).read_text())["done"] == [[0, 5000]]
    assert partial_bytes(store.root, DIGEST) == 5000
