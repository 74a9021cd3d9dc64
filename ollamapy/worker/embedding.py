"""The step loop of a worker whose model embeds: many inputs in one decode, whoever asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ollamapy import wire
from ollamapy.worker.candidates import Floats
from ollamapy.worker.llama import DecodeError, Llama


@dataclass(slots=True, eq=False)
class EmbedRequest:
    """A request with its tokenised inputs, of which `truncated` were cut, and the vectors that are ready."""

    request: wire.Embed
    inputs: list[list[int]]
    truncated: int
    started: float
    vectors: list[bytes | None] = field(default_factory=list)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a request."""

    owner: EmbedRequest
    index: int

    @property
    def tokens(self) -> list[int]:
        """The input's token ids."""
        return self.owner.inputs[self.index]


class EmbeddingEngine:
    """Packs inputs in order of arrival. `send` receives every message for the parent."""

    def __init__(self, llama: Llama, send: Callable[[wire.Message], None], clock: Callable[[], float]) -> None:
        self._llama = llama
        self._send = send
        self._clock = clock
        self._queue: deque[Item] = deque()
        self.steps = 0

    def __repr__(self) -> str:
        return f"<EmbeddingEngine {len(self._queue)} inputs waiting>"

    @property
    def is_busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._queue)

    def add(self, request: wire.Embed, inputs: Sequence[list[int]]) -> None:
        """Queue a request with its tokenised inputs. One that can never run is answered with `Failed` at once."""
        limit = min(request.num_ctx, self._llama.n_ctx_train, self._llama.n_batch)
        longest = max(map(len, inputs), default=0)
        if longest > limit and not request.truncate:
            error = f"the input length exceeds the context length: {longest} tokens, {limit} are possible"
            self._send(wire.Failed(request.id, "context_length", error, [longest, limit]))
            return
        cut = [self._cut(tokens, limit) for tokens in inputs]
        owner = EmbedRequest(request, cut, sum(len(t) > limit for t in inputs), self._clock(), [None] * len(cut))
        self._queue.extend(Item(owner, index) for index in range(len(cut)))
        if not cut:
            self._finish(owner)

    def _cut(self, tokens: list[int], limit: int) -> list[int]:
        """Shorten to `limit` tokens but keep the closing token that the model was trained with."""
        if len(tokens) <= limit:
            return tokens
        if self._llama.closes_text and limit > 1:
            return [*tokens[: limit - 1], tokens[-1]]
        return tokens[:limit]

    def cancel(self, request_id: int) -> None:
        """Forget a request."""
        self._queue = deque(item for item in self._queue if item.owner.request.id != request_id)

    def step(self) -> None:
        """Compute as many waiting inputs as one batch takes, and answer the requests that are complete."""
        items = self._take()
        self.steps += 1
        try:
            self._decode(items)
        except DecodeError as exc:
            self._fail({item.owner for item in items}, "internal", exc.message)
            return
        for seq_id, item in enumerate(items):
            self._keep(item, self._llama.embedding(seq_id))
        self._llama.forget_all()

    def _take(self) -> list[Item]:
        items: list[Item] = []
        room = self._llama.n_batch
        while self._queue and len(items) < self._llama.n_seq_max and len(self._queue[0].tokens) <= room:
            item = self._queue.popleft()
            room -= len(item.tokens)
            items.append(item)
        return items

    def _decode(self, items: list[Item]) -> None:
        batch, row = self._llama.batch, 0
        for seq_id, item in enumerate(items):
            rows = slice(row, row + len(item.tokens))
            batch.tokens[rows] = item.tokens
            batch.positions[rows] = range(len(item.tokens))
            batch.sequences[rows] = seq_id
            batch.wants_logits[rows] = 1
            row = rows.stop
        self._llama.decode(row)

    def _keep(self, item: Item, vector: Floats) -> None:
        owner, request = item.owner, item.owner.request
        if owner.failed:
            return
        if not np.isfinite(vector).all():
            self._fail({owner}, "invalid", "embedding contains NaN or Inf values")
            return
        if 0 < request.dimensions < len(vector):
            vector = vector[: request.dimensions]
        if request.normalize and not self._llama.is_reranker:
            vector = normalized(vector)
        owner.vectors[item.index] = vector.astype("<f4").tobytes()
        if None not in owner.vectors:
            self._finish(owner)

    def _finish(self, owner: EmbedRequest) -> None:
        vectors = [vector for vector in owner.vectors if vector is not None]
        prompt_tokens = sum(map(len, owner.inputs))
        seconds = self._clock() - owner.started
        self._send(wire.Embeddings(owner.request.id, vectors, prompt_tokens, owner.truncated, seconds))

    def _fail(self, owners: set[EmbedRequest], kind: wire.ErrorKind, error: str) -> None:
        for owner in owners:
            owner.failed = True
            self.cancel(owner.request.id)
            self._send(wire.Failed(owner.request.id, kind, error))


def normalized(vector: Floats) -> Floats:
    """Return the vector scaled to length 1; a zero vector stays zero."""
    length = float(np.sqrt(np.dot(vector, vector)))
    return vector if length == 0 else np.asarray(vector / length, np.float32)
