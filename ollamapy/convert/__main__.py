"""Start of a process that converts one file: a task in on standard input, its progress out on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from ollamapy import wire
from ollamapy.convert.draft import Draft
from ollamapy.convert.folder import convert_adapter, convert_model
from ollamapy.convert.layouts import Edit, find_layout
from ollamapy.convert.write import size_of, write_draft, write_file
from ollamapy.errors import InvalidFileError, InvalidInputError, OllamapyError
from ollamapy.gguf import check_file, read_header

PROGRESS_BYTES = 64 << 20
NICENESS = 10  # answers that are being generated go first


def main() -> None:
    """Convert one file; ends when the parent closes our standard input."""
    output, frames = sys.stdout.buffer, sys.stdin.buffer
    _send(output, wire.Hello(os.getpid()))
    task = wire.decode_to_worker(_read_frame(frames))
    if not isinstance(task, wire.Translate | wire.Convert):
        raise SystemExit("a converter must be given files to convert")
    Thread(target=_read_frame, args=(frames,), daemon=True).start()  # notices that the parent is gone
    os.nice(NICENESS)
    try:
        progress = Progress(lambda done, total: _send(output, wire.FileProgress(done, total)))
        translate(task, progress) if isinstance(task, wire.Translate) else convert(task, progress)
    except (OllamapyError, OSError) as exc:
        reason = exc.message if isinstance(exc, OllamapyError) else exc.strerror or "the disk refuses"
        _send(output, wire.FileFailed(reason, is_refusal=isinstance(exc, InvalidInputError)))
        return
    _send(output, wire.FileDone())


class Progress:
    """Counts the bytes of tensors that are written, and tells of them now and then."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._done = self._told = 0
        self.total = 0

    def begin(self, total: int) -> None:
        """Tell that so many bytes are to be written."""
        self.total = total
        self._tell(0, total)

    def add(self, count: int) -> None:
        """Count written bytes."""
        self._done += count
        if self._done - self._told >= PROGRESS_BYTES:
            self._told = self._done
            self._tell(self._done, self.total)


def translate(task: wire.Translate, progress: Progress) -> None:
    """Write the files that llama.cpp loads in the place of one; blocks. Raises InvalidFileError, OSError."""
    header = check_file(Path(task.path))
    layout = find_layout(header)
    if layout is None:
        raise InvalidFileError("the file is of no layout that has to be translated")
    targets: list[tuple[Edit | None, str]] = [(layout.weights, task.target), (layout.projector, task.projector)]
    drafts = []
    for edit, target in targets:
        if edit is not None:
            draft = Draft(header)
            edit(draft)
            drafts.append((draft, Path(target)))
    progress.begin(sum(size_of(draft) for draft, _ in drafts))
    for draft, path in drafts:
        with path.open("wb") as target_file:
            write_draft(draft, target_file, progress.add)


def convert(task: wire.Convert, progress: Progress) -> None:
    """Write the GGUF file of a model or an adapter; blocks. Raises InvalidFileError, UnsupportedError, OSError."""
    files = {name: Path(path) for name, path in task.files.items()}
    made = convert_adapter(files, read_header(Path(task.base))) if task.base else convert_model(files)
    progress.begin(sum(tensor.size_bytes for tensor in made.tensors))
    with Path(task.target).open("wb") as target_file:
        write_file(made.values, made.tensors, target_file, progress.add)


def _send(output: BinaryIO, message: wire.Message) -> None:
    output.write(wire.encode_frame(message))
    output.flush()


def _read_frame(frames: BinaryIO) -> bytes:
    """Read one message; the end of input means that the parent is gone, and so are we."""
    header = frames.read(wire.HEADER.size)
    if len(header) < wire.HEADER.size:
        os._exit(0)
    body: bytes = frames.read(wire.HEADER.unpack(header)[0])
    return body


if __name__ == "__main__":
    main()
