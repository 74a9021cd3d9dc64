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
from ollamapy.convert.layouts import Edit, find_layout
from ollamapy.convert.write import size_of, write_draft
from ollamapy.errors import InvalidFileError, OllamapyError
from ollamapy.gguf import check_file

PROGRESS_BYTES = 64 << 20
NICENESS = 10  # answers that are being generated go first


def main() -> None:
    """Convert one file; ends when the parent closes our standard input."""
    output, frames = sys.stdout.buffer, sys.stdin.buffer
    _send(output, wire.Hello(os.getpid()))
    task = wire.decode_to_worker(_read_frame(frames))
    if not isinstance(task, wire.Translate):
        raise SystemExit("a converter must be given a file to translate")
    Thread(target=_read_frame, args=(frames,), daemon=True).start()  # notices that the parent is gone
    os.nice(NICENESS)
    try:
        translate(task, lambda done, total: _send(output, wire.FileProgress(done, total)))
    except (OllamapyError, OSError) as exc:
        _send(output, wire.FileFailed(exc.message if isinstance(exc, OllamapyError) else exc.strerror or "disk error"))
        return
    _send(output, wire.FileDone())


def translate(task: wire.Translate, on_progress: Callable[[int, int], None]) -> None:
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
    total = sum(size_of(tensor) for draft, _ in drafts for tensor in draft.tensors)
    done = reported = 0

    def on_bytes(count: int) -> None:
        nonlocal done, reported
        done += count
        if done - reported >= PROGRESS_BYTES:
            reported = done
            on_progress(done, total)

    for draft, path in drafts:
        with path.open("wb") as target_file:
            write_draft(draft, target_file, on_bytes)


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
