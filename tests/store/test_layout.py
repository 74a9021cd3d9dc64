from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ollamapy.errors import StoreError
from ollamapy.store.layout import open_file, open_folder, read_file, store_errors


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; remove models"),
        (errno.EDQUOT, "the disk is full; remove models"),
        (errno.EACCES, "permission denied; give this user write access to the model store, or set OLLAMA_MODELS"),
        (errno.EROFS, "read-only file system; give this user write access"),
        (errno.ELOOP, "a symbolic link or a file stands where a folder"),
        (errno.EIO, "input/output error; make sure that OLLAMA_MODELS names a folder"),
        (errno.ENOENT, "no such file or directory; make sure that OLLAMA_MODELS names a folder"),
    ],
)
def test_t36_disk_errors_name_the_remedy_and_no_path(number: int, remedy: str) -> None:
    with pytest.raises(StoreError, match=remedy) as caught, store_errors("write to the model store"):
        raise OSError(number, os.strerror(number), "/secret/place/models/blobs")
    assert caught.value.message.startswith("can't write to the model store: ")
    assert "/secret" not in caught.value.message


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    with open_folder(tmp_path / "root", "a", "b", create=True):
        pass
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "root").rglob("*")} == {0o700}
    assert (tmp_path / "root").stat().st_mode & 0o777 == 0o700


def test_t21_folders_are_not_reached_through_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for create in (False, True):
        with pytest.raises(OSError, match=r"directory|symbolic"), open_folder(tmp_path, "link", create=create):
            pass


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    with open_folder(tmp_path / "root", "blobs", create=True):
        assert (tmp_path / "disk" / "blobs").is_dir()


def test_t21_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    with open_folder(tmp_path) as folder:
        for name in ("fifo", "link", "folder", "missing"):
            with pytest.raises(FileNotFoundError):
                open_file(folder, name)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    with open_folder(tmp_path) as folder:
        file = open_file(folder, "file")
    try:
        assert len(read_file(file, 100)) == 100
        with pytest.raises(OSError, match="larger than 99 bytes"):
            read_file(file, 99)
    finally:
        os.close(file)
