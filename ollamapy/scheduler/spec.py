"""What the scheduler is asked for and what it hands out, and the seam to whatever runs a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import msgspec

from ollamapy import wire
from ollamapy.scheduler.placement import Placement, Wish
from ollamapy.scheduler.shape import ModelShape

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

    `name` is for display, `num_ctx` the tokens that one request may use, 0 for what the memory allows (`load.n_ctx`
    counts the cells of all). A spec with a `shape` gets the rest of its `load` from a placement; `wished` then is what
    it was before.
    """

    name: str
    key: str
    load: wire.LoadModel
    num_ctx: int
    shape: ModelShape | None = None
    wish: Wish = field(default_factory=Wish)
    placement: Placement | None = None
    wished: LoadSpec | None = None

    def placed(self, placement: Placement) -> LoadSpec:
        """Return the spec as it is loaded there."""
        load = placement.applied(self.load)
        return replace(self, load=load, num_ctx=placement.num_ctx, placement=placement, wished=self)

    @property
    def origin(self) -> LoadSpec:
        """The spec as it was asked for."""
        return self.wished or self


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
    idle now. Of the `draft_tokens` that were guessed ahead so far, `accepted_tokens` came true. `reason` says why it is
    as it is.
    """

    spec: LoadSpec
    state: ModelState
    ready: wire.Ready | None
    progress: float
    busy: int
    expires_at: float
    draft_tokens: int = 0
    accepted_tokens: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """The display name under which it was loaded."""
        return self.spec.name


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A request that has no model yet, for so many seconds, and why."""

    name: str
    seconds: float
    reason: str


def model_key(path: str, adapters: Sequence[str] = ()) -> str:
    """Return the key of a model: its weights and its adapters."""
    return "\n".join((path, *adapters))


def load_shape(spec: LoadSpec) -> str:
    """Return what tells one way of loading a model from another: the model and the settings that requests may choose.

    `n_ctx` follows from free memory, which changes from one moment to the next; `num_ctx` is what was asked for.
    """
    asked = spec.origin
    settings = msgspec.structs.asdict(msgspec.structs.replace(asked.load, n_ctx=0))
    lines = (f"{name} {value}" for name, value in settings.items() if name not in _FILES)
    return "\n".join((asked.key, f"num_ctx {asked.num_ctx}", *lines))


LEAST_DEFAULT_CONTEXT = 4096  # what a request that asks for no context gets at least
_NOT_COMPARED = frozenset({*_FILES, "n_ctx", "n_seq_max", "devices"})
_UNSET: Mapping[str, object] = {
    "n_gpu_layers": -1, "main_gpu": None, "use_mmap": True, "n_threads": 0, "tensor_split": [], "split_mode": "layer",
}  # fmt: skip


def find_mismatch(loaded: LoadSpec, wanted: LoadSpec) -> str | None:
    """Return why a model loaded in one way can't serve a request for another, or None where it can.

    A context is served by a pool of at least as many cells, an option that was not set by any value of it, one that was
    set as in the request it was loaded for by what came of that, and a batch by one of any size, save for embeddings,
    whose inputs it limits.
    """
    if wanted.key != loaded.key:
        return "another model"
    if wanted.num_ctx > covered_context(loaded):
        return f"num_ctx {loaded.num_ctx} -> {wanted.num_ctx}"
    if not wanted.num_ctx and loaded.origin.num_ctx and not _is_default_covered(loaded):
        return f"num_ctx {loaded.num_ctx} -> as much as the memory allows"
    old, new = msgspec.structs.asdict(loaded.load), msgspec.structs.asdict(wanted.load)
    asked = msgspec.structs.asdict(loaded.origin.load)
    for name in old:
        if name in _NOT_COMPARED or new[name] == asked[name]:
            continue
        if not _is_served(name, old[name], new[name], loaded):
            return f"{name} {old[name]} -> {new[name]}"
    return None


def covered_context(loaded: LoadSpec) -> int:
    """Return the most tokens that one request may use of a loaded model: all cells that there are."""
    return loaded.num_ctx if loaded.load.embeds else max(loaded.num_ctx, loaded.load.n_ctx)


def _is_default_covered(loaded: LoadSpec) -> bool:
    trained = loaded.shape.context_length if loaded.shape else 0
    return covered_context(loaded) >= min(LEAST_DEFAULT_CONTEXT, trained or LEAST_DEFAULT_CONTEXT)


def _is_served(name: str, old: Any, new: Any, loaded: LoadSpec) -> bool:
    if old == new or (name in _UNSET and new == _UNSET[name]):
        return True
    if name == "n_batch":
        return not loaded.load.embeds
    if name == "n_gpu_layers" and loaded.placement is not None:
        return bool(min(int(new), loaded.placement.layer_count + 1) == old)
    return False
