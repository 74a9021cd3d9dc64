from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from ollamapy.errors import BlobNotFoundError, DigestMismatchError, InvalidFileError, StoreError
from ollamapy.names import Digest
from ollamapy.store import Store
from tests.store.conftest import tree

HELLO = Digest.of(b"hello")


def write(store: Store, data: bytes, expected: Digest | None = None) -> Digest:
    with store.blob_writer() as writer:
        for start in range(0, len(data), 1000):
            writer.write(data[start : start + 1000])
        return writer.commit(expected)


def test_a_blob_lies_under_its_digest(store: Store) -> None:
    assert store.put_bytes(b"hello") == HELLO
    path = store.open_blob(HELLO)
    assert path == store.root / "blobs" / f"sha256-{HELLO.hex}"
    assert path.read_bytes() == store.read_blob(HELLO) == b"hello"
    assert (store.has_blob(HELLO), store.blob_size(HELLO)) == (True, 5)
    assert path.stat().st_mode & 0o777 == 0o600
    assert tree(store.root) == {f"blobs/sha256-{HELLO.hex}"}


def test_an_unknown_blob_is_not_found(store: Store) -> None:
    assert not store.has_blob(HELLO)
    for ask in (store.open_blob, store.blob_size, store.read_blob):
        with pytest.raises(BlobNotFoundError):
            ask(HELLO)
    assert not store.root.exists()


def test_t13_a_blob_is_invisible_until_it_is_committed(store: Store) -> None:
    with store.blob_writer() as writer:
        writer.write(b"hel")
        assert not store.has_blob(HELLO)
        writer.write(b"lo")
        assert (writer.size, store.has_blob(HELLO)) == (5, False)
        writer.commit(HELLO)
        assert store.has_blob(HELLO)


@pytest.mark.parametrize("data", [b"", b"hell", b"hello!", b"jello"])
def test_t33_content_of_another_digest_is_discarded(data: bytes, store: Store) -> None:
    with pytest.raises(DigestMismatchError, match="digest mismatch, expected"):
        write(store, data, HELLO)
    assert tree(store.root) == set()


def test_t33_an_aborted_upload_leaves_nothing(store: Store) -> None:
    with store.blob_writer() as writer:
        writer.write(b"not committed")
    assert tree(store.root) == set()
    upload = ExitStack()
    upload.enter_context(store.blob_writer()).write(b"hello")
    assert len(tree(store.root)) == 1
    upload.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert tree(store.root) == set()


def test_writing_a_blob_again_keeps_it_and_makes_it_young(store: Store) -> None:
    store.put_bytes(b"hello")
    path = store.open_blob(HELLO)
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    store.put_bytes(b"hello")
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1


def test_a_blob_of_the_wrong_length_is_replaced(store: Store) -> None:
    store.put_bytes(b"hello")
    store.open_blob(HELLO).write_bytes(b"hel")
    store.put_bytes(b"hello")
    assert store.read_blob(HELLO) == b"hello"


def test_a_blob_of_the_right_length_and_wrong_content_is_replaced(store: Store) -> None:
    store.put_bytes(b"hello")
    store.open_blob(HELLO).write_bytes(b"jello")
    store.put_bytes(b"hello")
    assert store.read_blob(HELLO) == b"hello"


def test_only_a_damaged_blob_is_deleted_as_one(store: Store) -> None:
    assert not store.delete_damaged(HELLO)
    store.put_bytes(b"hello")
    assert not store.delete_damaged(HELLO)
    store.open_blob(HELLO).write_bytes(b"jello")
    assert store.delete_damaged(HELLO)
    assert not store.has_blob(HELLO)


def test_copies_a_file(store: Store, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    digest = store.put_file(tmp_path / "file")
    assert digest == Digest.of(content)
    assert store.read_blob(digest) == content


def test_t30_copies_nothing_but_regular_files(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidFileError) as caught:
            store.put_file(path)
        assert str(path.parent / "x")[:-1] not in caught.value.message
    assert not store.root.exists() or tree(store.root) == set()


def test_t21_a_link_in_place_of_a_blob_is_no_blob(store: Store, tmp_path: Path) -> None:
    store.put_bytes(b"other")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = store.root / "blobs" / f"sha256-{HELLO.hex}"
    link.symlink_to(victim)
    assert not store.has_blob(HELLO)
    with pytest.raises(BlobNotFoundError):
        store.open_blob(HELLO)
    assert store.prune([HELLO]) == []
    assert link.is_symlink()
    store.put_bytes(b"hello")
    assert victim.read_bytes() == b"precious"
    assert store.read_blob(HELLO) == b"hello"
    assert not link.is_symlink()


def test_t21_a_link_in_place_of_the_blobs_folder_is_refused(store: Store, tmp_path: Path) -> None:
    store.root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (store.root / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        store.put_bytes(b"hello")
    with pytest.raises(StoreError, match="symbolic link"):
        store.check_writable()
    assert tree(tmp_path / "elsewhere") == set()


def test_a_store_that_is_a_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(StoreError, match="set OLLAMA_MODELS anew"):
        Store(tmp_path / "models").check_writable()


def test_check_writable_makes_the_folders_and_leaves_nothing_in_them(store: Store) -> None:
    store.check_writable()
    assert sorted(path.name for path in store.root.iterdir()) == ["blobs", "uploads"]
    assert tree(store.root) == set()


def test_a_full_disk_is_told_and_its_space_is_freed(store: Store) -> None:
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StoreError, match="the disk is full; remove models"):
            write(store, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert tree(store.root) == set()
    store.put_bytes(bytes(100_000))


def test_what_a_killed_writer_left_is_removed_by_the_next_one(store: Store) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from ollamapy.store import Store\n"
        "with Store(Path(sys.argv[1])).blob_writer() as writer:\n"
        "    writer.write(bytes(1000)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert len(tree(store.root)) == 1
    store.put_bytes(b"hello")
    assert tree(store.root) == {f"blobs/sha256-{HELLO.hex}"}


def test_the_file_of_a_living_writer_and_foreign_files_stay(store: Store) -> None:
    with store.blob_writer() as writer:
        writer.write(b"hel")
        (store.root / "uploads" / "foreign").write_bytes(b"x")
        store.put_bytes(b"another")
        writer.write(b"lo")
        writer.commit(HELLO)
    assert store.read_blob(HELLO) == b"hello"
    assert (store.root / "uploads" / "foreign").exists()


def _put_many(root: Path, barrier: threading.Barrier) -> None:
    barrier.wait()
    for number in range(20):
        Store(root).put_bytes(b"%d" % number * 1000)


def test_t33_processes_that_write_the_same_blobs_at_once_leave_good_ones(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_put_many, args=(store.root, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(tree(store.root)) == 20
    for path in (store.root / "blobs").iterdir():
        assert Digest.of(path.read_bytes()).hex == path.name.removeprefix("sha256-")
