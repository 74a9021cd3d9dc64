"""One request inside the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ollamapy.wire import Generate, Logprob
from ollamapy.worker.constraint import Constraint
from ollamapy.worker.lookahead import Lookahead
from ollamapy.worker.pictures import Picture
from ollamapy.worker.sampling import Sampler
from ollamapy.worker.text import TextStream


@dataclass(slots=True, eq=False)
class Sequence:
    """A request with its tokens and how many of them are computed.

    `tokens` is the prompt followed by the answer; positions [0, n_computed) are in the KV cache under `seq_id`, and the
    first `n_shared` of those cells belong to the prefix tree. A sequence that decodes has only those `n_fresh` tokens
    left that its last step appended: one, and what its grammar forced behind it; one with more is in prefill.
    Preemption and a context shift only reset `n_computed`: the rest follows. `tokens` has at most `context` of them.
    `last_step` is the number of the engine's step that computed some of it last.
    `arrived` is when its turn began: on arrival, and again at each context shift.
    `prompt_logprobs` are those of the prompt that were computed and not yet told, for requests that want them.
    `common_with` remembers how many leading tokens of the prompt other requests (by id) have in common with it.
    """

    request: Generate
    tokens: list[int]
    sampler: Sampler
    text: TextStream
    arrived: float
    max_tokens: int
    context: int
    n_prompt: int
    seq_id: int = -1
    n_computed: int = 0
    n_shared: int = 0
    n_cached: int = 0
    n_generated: int = 0
    n_fresh: int = 0
    last_step: int = 0
    started: float | None = None
    first_token: float | None = None
    constraint: Constraint | None = None
    visible: frozenset[int] = frozenset()
    finish_reason: Literal["stop", "length"] | None = None
    prompt_logprobs: list[Logprob] = field(default_factory=list)
    common_with: dict[int, int] = field(default_factory=dict)
    ahead: Lookahead = field(default_factory=Lookahead)
    pictures: dict[int, Picture] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """The request's id."""
        return self.request.id

    @property
    def picture(self) -> Picture | None:
        """The picture that is to be computed next, if one is."""
        return self.pictures.get(self.n_computed)

    @property
    def n_text(self) -> int:
        """Tokens up to the next picture that are not computed yet."""
        end = len(self.tokens)
        return min((start for start in self.pictures if start >= self.n_computed), default=end) - self.n_computed

    @property
    def position(self) -> int:
        """Where the next token goes: some pictures take fewer positions than cells."""
        if not self.pictures:
            return self.n_computed
        seen = (picture for start, picture in self.pictures.items() if start < self.n_computed)
        return self.n_computed - sum(picture.n_tokens - picture.n_positions for picture in seen)

    @property
    def is_private(self) -> bool:
        """Whether nobody can share its cells, because positions are not indexes."""
        return any(picture.n_tokens != picture.n_positions for picture in self.pictures.values())

    def whole_prefix(self, length: int) -> int:
        """Return a length of prefix without the beginning of a picture: one is computed as a whole."""
        cut = (start for start, picture in self.pictures.items() if start < length < start + picture.n_tokens)
        return next(cut, length)

    @property
    def n_left(self) -> int:
        """Tokens that are not computed yet."""
        return len(self.tokens) - self.n_computed

    @property
    def is_scored(self) -> bool:
        """Whether tokens that are to be computed next belong to a prompt whose log probabilities are wanted."""
        return self.request.prompt_logprobs and self.n_computed < self.n_prompt and not self.n_generated

    @property
    def is_decoding(self) -> bool:
        """Whether only what the last step appended is left to compute."""
        return 0 < len(self.tokens) - self.n_computed <= self.n_fresh
