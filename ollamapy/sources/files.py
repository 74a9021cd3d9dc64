"""GGUF files in folders of other programs, and which of them make up a model."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import Header, join_headers, names_of_parts, read_header

MAX_FILES = 10_000
MAX_DEPTH = 4
PROJECTORS = ("F16", "BF16", "F32", "Q8_0")
"""Which projector is taken where there are several."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A GGUF file whose header could be read."""

    path: Path
    size_bytes: int
    header: Header


def find_ggufs(folder: Path, depth: int = MAX_DEPTH) -> list[FoundFile]:
    """Return the GGUF files below a folder, by path; what can't be read is left out."""
    found = []
    for path in _walk(folder, depth):
        try:
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found.append(FoundFile(path, status.st_size, read_header(path)))
        except (OSError, InvalidFileError):
            continue  # a link to nothing, or a download that was not finished
        if len(found) == MAX_FILES:
            break
    return found


def group_files(files: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, ...]]:
    """Yield the files of each model in the repository, its parts in order and its projector last.

    A model that lacks a part is left out; adapters are no models.
    """
    files = list(files)
    projectors = [file for file in files if file.header.kind == "projector"]
    projectors.sort(key=lambda file: _rank(file.header.file_type))
    by_path = {file.path: file for file in files}
    for file in files:
        if file.header.kind != "model" or file.header.split_number > 0:
            continue
        names = names_of_parts(file.path.name) if file.header.split_count > 1 else (file.path.name,)
        group = [part for name in names if (part := by_path.get(file.path.with_name(name))) is not None]
        if _is_whole(group):
            yield (*group, *projectors[:1])


def tag_of(group: Sequence[FoundFile]) -> str:
    """Return the quantization of a model's weights."""
    return group[0].header.file_type


def _is_whole(parts: Sequence[FoundFile]) -> bool:
    try:
        join_headers([part.header for part in parts])
    except InvalidFileError:
        return False
    return True


def _rank(file_type: str) -> int:
    return PROJECTORS.index(file_type) if file_type in PROJECTORS else len(PROJECTORS)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix.lower() == ".gguf":
            yield entry
        elif depth and entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry, depth - 1)
