"""Files of kept prefixes: what was written comes back, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from pathlib import Path

import msgspec
import pytest

from ollamapy.worker.state_files import MAGIC, Index, Piece, StateFolder

MADE_BY = "model, build and settings"
PIECES = [(-1, [1, 2, 3], b"a" * 1000), (0, [4], b"b" * 500), (-1, [9], b"c" * 10)]


def write(folder: StateFolder, made_by: str = MADE_BY, pieces: list[tuple[int, list[int], bytes]] = PIECES) -> Path:
    with folder.writer(made_by, lambda: False) as writer:
        for parent, tokens, data in pieces:
            assert writer.add(parent, tokens, data)
    return folder.file_of(made_by)


def read(folder: StateFolder, made_by: str = MADE_BY) -> list[tuple[int, list[int], bytes]]:
    return [(piece.parent, piece.tokens, bytes(data)) for piece, data in folder.read(made_by)]


def forge(folder: StateFolder, index: bytes, data: bytes = b"x" * 100) -> None:
    """Put a file with a right checksum in the place of ours."""
    body = MAGIC + data + index + struct.pack("<Q", len(index))
    body += hmac.digest((folder.path / "key").read_bytes(), body, hashlib.sha256)
    folder.file_of(MADE_BY).write_bytes(body)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state", 1 << 20)


def test_what_was_written_is_read(folder: StateFolder) -> None:
    write(folder)
    assert read(folder) == PIECES


def test_where_nothing_was_written_there_is_nothing(folder: StateFolder) -> None:
    assert read(folder) == []


def test_each_maker_has_its_own_file(folder: StateFolder) -> None:
    write(folder)
    write(folder, "another", PIECES[:1])
    assert read(folder) == PIECES
    assert read(folder, "another") == PIECES[:1]
    assert read(folder, "a third") == []


def test_t66_a_file_cut_anywhere_is_ignored(folder: StateFolder) -> None:
    path = write(folder)
    whole = path.read_bytes()
    for size in (*range(40), *range(40, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert read(folder) == []


def test_t66_a_flipped_bit_is_noticed_wherever_it_is(folder: StateFolder) -> None:
    path = write(folder)
    whole = path.read_bytes()
    for at in (*range(60), *range(60, len(whole), 41), *range(len(whole) - 60, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read(folder) == []
    path.write_bytes(whole + b"x")
    assert read(folder) == []


def test_t66_the_file_of_another_maker_under_our_name_is_ignored(folder: StateFolder) -> None:
    write(folder, "another").rename(folder.file_of(MADE_BY))
    assert read(folder) == []


def test_t66_a_file_from_another_folder_is_ignored(folder: StateFolder, tmp_path: Path) -> None:
    write(folder)
    foreign = StateFolder(tmp_path / "foreign", 1 << 20)
    folder.file_of(MADE_BY).write_bytes(write(foreign).read_bytes())
    assert read(folder) == []


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"\xc1",
        b"\x92" * 50_000,
        msgspec.msgpack.encode(Index(MADE_BY, [Piece(0, [1], 100)])),
        msgspec.msgpack.encode(Index(MADE_BY, [Piece(-2, [1], 100)])),
        msgspec.msgpack.encode(Index(MADE_BY, [Piece(-1, [1], 99)])),
        msgspec.msgpack.encode(Index(MADE_BY, [Piece(-1, [1], 1 << 62)])),
        msgspec.msgpack.encode(Index(MADE_BY, [Piece(-1, [1], -5), Piece(-1, [1], 105)])),
        msgspec.msgpack.encode([MADE_BY, [[-1, ["text"], 100]]]),
    ],
    ids=["none", "no-msgpack", "nested", "own-parent", "no-such-parent", "short", "huge", "negative", "text"],
)
def test_t66_an_index_that_makes_no_sense_is_ignored(folder: StateFolder, index: bytes) -> None:
    write(folder)
    forge(folder, index)
    assert read(folder) == []


def test_t66_a_length_beyond_the_file_is_ignored(folder: StateFolder) -> None:
    path = write(folder)
    for size in (1 << 63, 5000, 2**64 - 1):
        body = MAGIC + b"x" * 100 + struct.pack("<Q", size)
        path.write_bytes(body + hmac.digest((folder.path / "key").read_bytes(), body, hashlib.sha256))
        assert read(folder) == []


def test_t66_what_is_no_plain_file_of_ours_is_ignored(folder: StateFolder, tmp_path: Path) -> None:
    path = write(folder)
    path.chmod(0o644)
    assert read(folder) == []
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert read(folder) == []
    path.unlink()
    os.mkfifo(path, 0o600)
    assert read(folder) == []
    path.unlink()
    path.mkdir()
    assert read(folder) == []


def test_a_file_larger_than_allowed_is_not_read(folder: StateFolder) -> None:
    path = write(folder)
    os.truncate(path, 1 << 21)
    assert read(folder) == []


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 1000])
def test_a_damaged_key_is_replaced_and_what_it_signed_is_void(folder: StateFolder, key: bytes) -> None:
    write(folder)
    (folder.path / "key").write_bytes(key)
    assert read(folder) == []
    write(folder)
    assert read(folder) == PIECES


def test_the_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, 10_000)
    makers = [f"maker {number}" for number in range(6)]
    for age, maker in enumerate(makers):
        path = write(folder, maker, [(-1, [1], b"x" * 1500)])
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    folder.touch(makers[0])
    write(folder, "new", [(-1, [1], b"x" * 4000)])
    left = [maker for maker in makers if read(folder, maker)]
    assert left == [makers[0], makers[4], makers[5]]
    assert read(folder, "new")


def test_a_file_has_half_of_the_room_at_most(tmp_path: Path) -> None:
    with StateFolder(tmp_path, 10_000).writer(MADE_BY, lambda: False) as writer:
        assert writer.has_room(4800, 1)
        assert not writer.has_room(5000, 1)
        assert writer.add(-1, [1], b"x" * 3000)
        assert not writer.has_room(2000, 1)


def test_out_of_time_ends_with_the_last_whole_piece(folder: StateFolder) -> None:
    answers = iter([False, False, True])
    with StateFolder(folder.path, 1 << 30).writer(MADE_BY, lambda: next(answers, True)) as writer:
        assert writer.add(-1, [1], b"x" * 100)
        assert not writer.add(0, [2], b"y" * (16 << 20))
        assert not writer.has_room(1, 1)
    assert read(folder) == [(-1, [1], b"x" * 100)]


def test_a_writer_that_fails_leaves_the_old_file_and_no_trace(folder: StateFolder) -> None:
    write(folder)

    def fail() -> None:
        with folder.writer(MADE_BY, lambda: False) as writer:
            writer.add(-1, [7], b"new")
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        fail()
    assert read(folder) == PIECES
    assert {path.suffix for path in folder.path.iterdir()} == {"", ".state"}


def test_what_dead_writers_left_is_removed_in_time(folder: StateFolder) -> None:
    write(folder)
    old, young = folder.path / ".old.partial", folder.path / ".young.partial"
    for path in (old, young):
        path.touch()
    os.utime(old, (1, 1))
    write(folder)
    assert (old.exists(), young.exists()) == (False, True)
