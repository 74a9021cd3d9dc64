"""What the scheduler is asked for and what it hands out, and the seam to whatever runs a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from ollamapy import wire

ModelState = Literal["loading", "ready", "stopping"]
_FILES = ("path", "adapters", "shards", "projector", "draft")  # of LoadModel: the key has them
OnProgress = Callable[[float], None]


class ModelRunner(Protocol):
    """One model that can be started once, asked, and stopped. `ollamapy.runner.Runner` is one."""

    @property
    def state(self) -> str:
        """`stopped`, `starting`, `ready`, `stopping` or `failed`."""

    @property
    def ready(self) -> wire.Ready | None:
        """What was loaded, None before that."""

    @property
    def exit_code(self) -> int | None:
        """How the worker ended, None before that; negative for a signal."""

    @property
    def draft_tokens(self) -> int:
        """How many tokens were guessed ahead so far, for all requests."""

    @property
    def accepted_tokens(self) -> int:
        """How many of them came true."""

    async def start(self, on_progress: OnProgress | None = None) -> wire.Ready:
        """Load the model; raises RunnerError. Cancelling it leaves nothing behind."""

    async def stop(self) -> None:
        """Unload; returns when all is released. Does not raise."""

    async def wait_exit(self) -> None:
        """Wait until the worker has ended, for whatever reason."""

    def next_id(self) -> int:
        """Return a request id that was not used before."""

    def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Output, None]:
        """Yield the outputs of one request; closing the generator cancels it."""

    async def tokenize(self, segments: Sequence[wire.Segment], add_special: bool = True) -> list[int]:
        """Return the token ids of a prompt."""

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids."""

    async def embed(self, request: wire.Embed) -> wire.Embeddings:
        """Return the vectors of all inputs; cancelling the call cancels the request."""


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """A model as it has to be loaded. `key` says which model it is: two specs of one key never run side by side.

    `name` is for display, `num_ctx` the tokens that one request may use (`load.n_ctx` counts the cells of all).
    """

    name: str
    key: str
    load: wire.LoadModel
    num_ctx: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a loaded model. `load_seconds` passed between asking and getting it."""

    runner: ModelRunner
    ready: wire.Ready
    load_seconds: float
    num_ctx: int


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A line of `ps`. `ready` is None while loading, when `progress` goes from 0 to 1.

    `expires_at` is in seconds since the epoch, math.inf for never; for a model in use it is what would be if it went
    idle now. Of the `draft_tokens` that were guessed ahead so far, `accepted_tokens` came true.
    """

    spec: LoadSpec
    state: ModelState
    ready: wire.Ready | None
    progress: float
    busy: int
    expires_at: float
    draft_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def name(self) -> str:
        """The display name under which it was loaded."""
        return self.spec.name


def model_key(path: str, others: Sequence[str] = ()) -> str:
    """Return the key of a model: its weights and the other files that it is loaded from."""
    return "\n".join((path, *others))


def load_shape(spec: LoadSpec) -> str:
    """Return what tells one way of loading a model from another: the model and the settings that requests may choose.

    `n_ctx` follows from free memory, which changes from one moment to the next; `num_ctx` is what was asked for.
    """
    settings = msgspec.structs.asdict(msgspec.structs.replace(spec.load, n_ctx=0))
    lines = (f"{name} {value}" for name, value in settings.items() if name not in _FILES)
    return "\n".join((spec.key, f"num_ctx {spec.num_ctx}", *lines))


def find_mismatch(loaded: LoadSpec, wanted: LoadSpec) -> str | None:
    """Return why a model loaded in one way can't serve a request for another, or None where it can.

    A smaller context is served by a larger one, and a wish for automatic GPU layers by any number of them.
    """
    if wanted.key != loaded.key:
        return "another model"
    if wanted.num_ctx > loaded.num_ctx:
        return f"num_ctx {loaded.num_ctx} -> {wanted.num_ctx}"
    old, new = msgspec.structs.asdict(loaded.load), msgspec.structs.asdict(wanted.load)
    for field in old:
        if field in (*_FILES, "n_ctx") or (field == "n_gpu_layers" and new[field] < 0):
            continue
        if old[field] != new[field]:
            return f"{field} {old[field]} -> {new[field]}"
    return None
