"""Files that keep the KV cells of prefixes from one worker to the next, and the bounded folder that they lie in.

A file is the magic, the pieces' cells one after the other, a msgpack index, the index's length (8 bytes, little-endian)
and an HMAC-SHA256 over all before it. The key lies beside the files, so that a file from elsewhere is none of ours.
Nothing of a file is looked at before its HMAC was checked.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from ollamapy.errors import InvalidFileError

logger = logging.getLogger("ollamapy.worker.state")

MAGIC = b"ollamapy state 1\n"
SUFFIX = ".state"
STALE_SECONDS = 600  # what a writer that was killed has left behind
_TAIL = struct.Struct("<Q")
_MAC_BYTES = 32
_CHUNK_BYTES = 8 << 20
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in its place must not hang us
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """The cells of `tokens`, which follow those of the piece `parent`, -1 for none; `size` in bytes."""

    parent: int
    tokens: list[int]
    size: int


class Index(msgspec.Struct, frozen=True, array_like=True):
    """What a file holds. `made_by` says all that the cells depend on; pieces come behind their parents."""

    made_by: str
    pieces: list[Piece]


class StateWriter:
    """Takes pieces one by one. `out_of_time` tells when to give up on the one that is being written."""

    def __init__(self, file: BinaryIO, key: bytes, most_bytes: int, out_of_time: Callable[[], bool]) -> None:
        self._file = file
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self._left = most_bytes - len(MAGIC) - _TAIL.size - _MAC_BYTES
        self._out_of_time = out_of_time
        self.pieces: list[Piece] = []
        self._put(MAGIC)

    def has_room(self, n_bytes: int, n_tokens: int) -> bool:
        """Whether a piece may be added."""
        return not self._out_of_time() and n_bytes + _index_bytes(n_tokens) <= self._left

    def add(self, parent: int, tokens: list[int], data: bytes | bytearray) -> bool:
        """Append a piece; False, and no trace of it, where the time is over in the middle."""
        before, position = self._mac.copy(), self._file.tell()
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK_BYTES):
            if self._out_of_time():
                self._mac = before
                self._file.seek(position)
                self._file.truncate()
                return False
            self._put(view[start : start + _CHUNK_BYTES])
        self._left -= len(view) + _index_bytes(len(tokens))
        self.pieces.append(Piece(parent, tokens, len(view)))
        return True

    def finish(self, made_by: str) -> None:
        """Write the index and what proves that all is ours."""
        index = msgspec.msgpack.encode(Index(made_by, self.pieces))
        self._put(index + _TAIL.pack(len(index)))
        self._file.write(self._mac.digest())

    def _put(self, data: bytes | memoryview) -> None:
        self._mac.update(data)
        self._file.write(data)


class StateFolder:
    """A folder of state files; one file takes half of `most_bytes` at most, all of them that much.

    Names are made here alone: the marks of the model's files, and a digest of what the cells depend on.
    """

    def __init__(self, path: Path, most_bytes: int, marks: str = "") -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._marks = marks

    def file_of(self, made_by: str) -> Path:
        """Return where the state of such a worker lies."""
        return self.path / (self._marks + hashlib.sha256(made_by.encode()).hexdigest()[:32] + SUFFIX)

    def read(self, made_by: str) -> list[tuple[Piece, memoryview]]:
        """Return the pieces that a worker like this one left, none where there is nothing that can be trusted."""
        path = self.file_of(made_by)
        try:
            data = _read_private(path, self._most_bytes)
            return _parse(data, _read_private(self._key_path, _MAC_BYTES), made_by)
        except FileNotFoundError:
            return []
        except (OSError, InvalidFileError) as exc:
            told = exc.strerror if isinstance(exc, OSError) else exc
            logger.warning("the kept prefixes in %s are ignored: %s", path.name, told)
            return []

    def touch(self, made_by: str) -> None:
        """Note that the state was of use: what was used longest ago goes first."""
        with suppress(OSError):
            os.utime(self.file_of(made_by), follow_symlinks=False)

    @contextmanager
    def writer(self, made_by: str, out_of_time: Callable[[], bool]) -> Iterator[StateWriter]:
        """Open a file that takes its name at the end of the block, if anything was added; raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self._key()
        partial = self.path / f".{secrets.token_hex(8)}.partial"
        try:
            with os.fdopen(os.open(partial, _WRITE_FLAGS, 0o600), "wb") as file:
                writer = StateWriter(file, key, self._most_bytes // 2, out_of_time)
                yield writer
                writer.finish(made_by)
            if writer.pieces:
                partial.replace(self.file_of(made_by))
                self._prune(keep=self.file_of(made_by))
        finally:
            partial.unlink(missing_ok=True)

    @property
    def _key_path(self) -> Path:
        return self.path / "key"

    def _key(self) -> bytes:
        """Return the folder's key, a new one where there is none that is ours."""
        with suppress(OSError, InvalidFileError):
            key = _read_private(self._key_path, _MAC_BYTES)
            if len(key) == _MAC_BYTES:
                return bytes(key)
        partial = self.path / f".{secrets.token_hex(8)}.partial"
        key_bytes = secrets.token_bytes(_MAC_BYTES)
        with os.fdopen(os.open(partial, _WRITE_FLAGS, 0o600), "wb") as file:
            file.write(key_bytes)
        partial.replace(self._key_path)
        return key_bytes

    def _prune(self, keep: Path) -> None:
        """Remove the files used longest ago until all fit, and what dead writers left."""
        files = []
        for entry in os.scandir(self.path):
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(SUFFIX):
                    files.append((status.st_mtime, status.st_size, Path(entry.path)))
                elif entry.name.endswith(".partial"):
                    _remove_stale(Path(entry.path), keep, status.st_mtime)
        total = 0
        for _, size, path in sorted(files, key=lambda file: (file[2] != keep, -file[0])):
            total += size
            if total > self._most_bytes:
                path.unlink(missing_ok=True)


def _remove_stale(path: Path, newest: Path, modified: float) -> None:
    if modified < newest.stat().st_mtime - STALE_SECONDS:
        path.unlink(missing_ok=True)


def _read_private(path: Path, most_bytes: int) -> bytearray:
    """Read a plain file that is ours and nobody else's; raises OSError or InvalidFileError."""
    descriptor = os.open(path, _READ_FLAGS)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidFileError("not a plain file")
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidFileError("others have access to it")
        if status.st_size > most_bytes:
            raise InvalidFileError("larger than allowed")
        data = bytearray(status.st_size)
        view, done = memoryview(data), 0
        while done < len(view):
            count = file.readinto(view[done : done + _CHUNK_BYTES])
            if not count:
                raise InvalidFileError("it shrank")
            done += count
        return data


def _parse(data: bytearray, key: bytearray, made_by: str) -> list[tuple[Piece, memoryview]]:
    """Return the pieces of a file whose HMAC is right; raises InvalidFileError."""
    view = memoryview(data)
    end = len(view) - _MAC_BYTES
    if len(key) != _MAC_BYTES or end < len(MAGIC) + _TAIL.size or view[: len(MAGIC)] != MAGIC:
        raise InvalidFileError("not a file of ours")
    if not hmac.compare_digest(hmac.digest(key, view[:end], "sha256"), view[end:]):
        raise InvalidFileError("its checksum is wrong")
    (size,) = _TAIL.unpack(view[end - _TAIL.size : end])
    stop = end - _TAIL.size - size
    try:
        index = msgspec.msgpack.decode(view[max(stop, 0) : end - _TAIL.size], type=Index)
    except msgspec.DecodeError as exc:
        raise InvalidFileError("its index can't be read") from exc
    if index.made_by != made_by:
        raise InvalidFileError("made by another model, build or settings")
    found, at = [], len(MAGIC)
    for number, piece in enumerate(index.pieces):
        if not -1 <= piece.parent < number or piece.size < 0 or at + piece.size > stop:
            raise InvalidFileError("its index makes no sense")
        found.append((piece, view[at : at + piece.size]))
        at += piece.size
    if at != stop:
        raise InvalidFileError("its index makes no sense")
    return found


def _index_bytes(n_tokens: int) -> int:
    """Return the most bytes that a piece takes in the index."""
    return 5 * n_tokens + 32
