"""Saves the prefixes that a worker remembers when it is unloaded, and gives them to the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ollamapy.wire import LoadModel, state_mark
from ollamapy.worker.cell_state import CellState
from ollamapy.worker.cells import CellPool
from ollamapy.worker.llama import Llama
from ollamapy.worker.prefixes import Node, PrefixTree
from ollamapy.worker.state_files import StateFolder, StateWriter

logger = logging.getLogger("ollamapy.worker.snapshot")

SAVE_SECONDS = 1.0
RESTORE_SECONDS = 2.0
PIECE_TOKENS = 256
MOST_ADAPTERS = 8  # names have their limits
LEAST_TOKENS = 16  # fewer are computed as fast as they are read
_WITHOUT_EFFECT = (  # of LoadModel: the cells are the same whatever these say, and files are told in another way
    "path", "adapters", "shards", "projector", "n_ctx", "n_batch", "n_seq_max", "n_parallel", "use_mmap", "n_threads",
    "draft", "speculates", "state_folder", "state_bytes", "parking_bytes",
)  # fmt: skip


class Snapshot:
    """The kept prefixes of one model, loaded in one way; `clock` gives seconds."""

    def __init__(self, load: LoadModel, llama: Llama, clock: Callable[[], float]) -> None:
        self._state = CellState(llama)
        self._clock = clock
        self._files = [Path(path) for path in (load.path, *load.adapters[:MOST_ADAPTERS])]
        self._loaded = _identities(self._files)
        marks = "".join(state_mark(path.name) for path in self._files)
        self._folder = StateFolder(Path(load.state_folder), load.state_bytes, marks)
        self._made_by = made_by(load, self._state) if load.state_bytes else ""
        self._seen_at: int | None = None

    def restore(self, cells: CellPool) -> int:
        """Put what another worker left into the empty pool; return the tokens."""
        if not self._made_by or cells.tree is None:
            return 0
        deadline = self._clock() + RESTORE_SECONDS
        paths: list[list[int] | None] = []
        for piece, data in self._folder.read(self._made_by):
            before = [] if piece.parent < 0 else paths[piece.parent]
            path = None if before is None or self._clock() > deadline else [*before, *piece.tokens]
            paths.append(path if path is not None and self._plant(cells, path, len(piece.tokens), data) else None)
        for path in reversed(paths):  # the hottest were written first; they shall be dropped last
            if path is not None:
                cells.tree.touch(path)
        if paths:
            self._folder.touch(self._made_by)
            logger.info("%d tokens of known prefixes are back", cells.tree.n_cells)
        self._seen_at = cells.tree.clock
        return cells.tree.n_cells

    def save(self, cells: CellPool) -> int:
        """Write the hottest prefixes, as far as bytes and time allow; return the tokens. A failure is only logged.

        Of a model that was deleted meanwhile nothing is kept.
        """
        tree = cells.tree
        if not self._made_by or tree is None or tree.clock == self._seen_at or self._is_deleted():
            return 0
        n_known = tree.n_cells + (cells.parking.n_tokens if cells.parking else 0)
        if n_known < LEAST_TOKENS or not cells.free_an_id():
            return 0
        deadline = self._clock() + SAVE_SECONDS
        try:
            with self._folder.writer(self._made_by, lambda: self._clock() > deadline) as writer:
                n_tokens = self._write(cells, tree, writer)
                if self._is_deleted():
                    writer.pieces.clear()
                    return 0
        except OSError as exc:
            logger.warning("known prefixes could not be kept: %s", exc.strerror)
            return 0
        logger.info("kept %d of %d tokens of known prefixes", n_tokens, n_known)
        return n_tokens

    def _is_deleted(self) -> bool:
        """Whether a file of the model is gone, also if the same was put in its place since."""
        return _identities(self._files) != self._loaded

    def _plant(self, cells: CellPool, path: list[int], n_new: int, data: memoryview) -> bool:
        start, end = len(path) - n_new, len(path)
        if not self._are_tokens(path[start:]):
            return False
        return cells.plant(path, start, lambda seq_id: self._state.write(seq_id, start, end, data))

    def _write(self, cells: CellPool, tree: PrefixTree, writer: StateWriter) -> int:
        """Write nodes in pieces, the most recently used first, parents before children; return the tokens."""
        pieces: dict[Node, int] = {tree.root: -1}  # the last one of each node that was written whole
        written = 0
        nodes = (*tree.nodes(), *tree.parked_nodes())
        for node in sorted(nodes, key=lambda node: (-node.last_used, node.start)):
            if node.parent not in pieces or not self._are_tokens(node.tokens):
                continue
            parent = pieces[node.parent]
            if node.data is not None:
                if writer.has_room(len(node.data), len(node.tokens)) and writer.add(parent, node.tokens, node.data):
                    pieces[node], written = len(writer.pieces) - 1, written + len(node.tokens)
                continue
            for start in range(node.start, node.end, PIECE_TOKENS):
                end = min(start + PIECE_TOKENS, node.end)
                if not self._write_piece(cells, node, (start, end), parent, writer):
                    break
                parent, written = len(writer.pieces) - 1, written + end - start
            else:
                pieces[node] = parent
        return written

    def _write_piece(
        self, cells: CellPool, node: Node, span: tuple[int, int], parent: int, writer: StateWriter
    ) -> bool:
        start, end = span
        with cells.lent(node, start, end) as seq_id:
            if not writer.has_room(self._state.size_bytes(seq_id), end - start):
                return False
            data = self._state.read(seq_id)
        return bool(data) and writer.add(parent, node.tokens[start - node.start : end - node.start], data)

    def _are_tokens(self, tokens: list[int]) -> bool:
        return bool(tokens) and min(tokens) >= 0 and max(tokens) < self._state.n_vocab


def _identities(files: list[Path]) -> list[tuple[int, int, int]]:
    """Return what tells files from all others, those that were deleted and made again from the same data, too."""
    found = []
    for path in files:
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_dev, status.st_ino, status.st_ctime_ns))
    return found


def made_by(load: LoadModel, state: CellState) -> str:
    """Return all that the content of cells depends on, as text.

    Files are told by their name, which is their digest in the store, by size and by time of change.
    """
    paths = [*(load.shards or [load.path]), *load.adapters, *([load.projector] if load.projector else [])]
    files = [(Path(path).name, (status := Path(path).stat()).st_size, status.st_mtime_ns) for path in paths]
    settings = {name: value for name, value in msgspec.structs.asdict(load).items() if name not in _WITHOUT_EFFECT}
    facts = [state.made_by(), files, len(load.adapters), settings]
    return msgspec.json.encode(facts, order="deterministic").decode()
