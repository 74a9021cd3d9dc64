"""The scheduler's decisions, pure: a frozen picture of models and waiting requests in, what to do out.

First come, first served, and a model in use is never evicted. Each waiting request, in order, is one of these cases:

 1. A loaded model serves it: it is granted, unless case 5 holds that model for somebody else.
 2. Its model is loading or on its way out: it waits.
 3. Its model is loaded in a way that can't serve it (smaller context, other options): reload, once nobody uses it.
 4. Its model is not loaded: it gets a free slot, or one that is becoming free, or that of the idle model which nobody
    waits for and which was used longest ago. In a way in which it failed too often lately it is refused instead.
 5. All slots are in use: it waits. When it has waited for longer than the patience, the model that was loaded first
    takes no requests that came after it, so that a stream of new ones can't keep it waiting for ever.

Then models go that are loading for nobody, and idle ones whose keep_alive is over. When closing, waiting requests are
refused and models go as they become idle, or all at once when the time for that is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ollamapy.errors import ModelRestingError, OllamapyError, ServiceError
from ollamapy.scheduler.backoff import Block
from ollamapy.scheduler.spec import LoadSpec, ModelState, find_mismatch, load_shape


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model that occupies a slot. Ids grow in the order of loading; times are seconds of the scheduler's clock."""

    id: int
    spec: LoadSpec
    state: ModelState
    busy: int = 0
    idle_since: float = 0.0
    expires_at: float = math.inf


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request that waits for a model since `since`."""

    id: int
    spec: LoadSpec
    since: float


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a decision depends on. At most one model per key; `waiting` is in order of arrival.

    `blocked` holds the shapes in which no model must be loaded now. `close_at` is when a closing scheduler stops
    waiting for models in use, None for one that is not closing.
    """

    now: float
    models: tuple[ModelView, ...]
    waiting: tuple[RequestView, ...]
    max_loaded: int
    patience_seconds: float
    blocked: Mapping[str, Block]
    close_at: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Start to load a model into a free slot."""

    spec: LoadSpec
    reason: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Stop a model, whether it is loaded or still loading."""

    model_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Let a waiting request use a loaded model."""

    request_id: int
    model_id: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let a waiting request fail."""

    request_id: int
    error: OllamapyError


Decision = Load | Unload | Grant | Refuse


def decide(picture: Picture) -> tuple[Decision, ...]:
    """Return what to do now; nothing where everybody has to wait."""
    plan = _Plan(picture)
    if picture.close_at is not None:
        plan.wind_up(picture.close_at)
        return tuple(plan.decisions)
    for request in picture.waiting:
        plan.place(request)
    plan.drop_unwanted()
    return tuple(plan.decisions)


def next_change(picture: Picture) -> float:
    """Return when time alone changes the decisions, math.inf where it does not."""
    times = [model.expires_at for model in picture.models if model.state == "ready" and not model.busy]
    times += [request.since + picture.patience_seconds for request in picture.waiting]
    times += [picture.close_at] if picture.close_at is not None else []
    return min((time for time in times if time > picture.now), default=math.inf)


def shutdown_error() -> ServiceError:
    """Return what requests get while the daemon shuts down."""
    return ServiceError("the server is shutting down; send the request again when it is back")


class _Plan:
    """The picture as the decisions so far would leave it."""

    def __init__(self, picture: Picture) -> None:
        self.decisions: list[Decision] = []
        self._picture = picture
        self._models = {model.spec.key: model for model in picture.models}
        self._wanted = {request.spec.key for request in picture.waiting}
        self._busy = {model.id: model.busy for model in picture.models}
        self._leaving = {model.id for model in picture.models if model.state == "stopping"}
        self._held: set[int] = set()
        self._free = picture.max_loaded - len(picture.models)
        self._becoming_free = len(self._leaving)
        self._placed: set[str] = set()  # keys that got a slot, or wait for one in front of the requests that follow

    def place(self, request: RequestView) -> None:
        model = self._models.get(request.spec.key)
        if model is None:
            self._place_unloaded(request)
        elif model.id in self._leaving:
            self._claim_becoming_free(request.spec.key)  # 2
        elif (mismatch := find_mismatch(model.spec, request.spec)) is not None:
            self._place_mismatched(request, model, mismatch)
        elif model.state == "ready" and model.id not in self._held:  # 1
            self._busy[model.id] += 1
            self.decisions.append(Grant(request.id, model.id))

    def _place_mismatched(self, request: RequestView, model: ModelView, mismatch: str) -> None:
        if model.state != "ready" or self._is_refused(request):  # 2, 4
            return
        if not self._busy[model.id]:  # 3
            self._placed.add(request.spec.key)
            self._unload(model, f"reload: {mismatch}")
        elif self._is_overdue(request):
            self._held.add(model.id)

    def _place_unloaded(self, request: RequestView) -> None:
        key = request.spec.key
        if self._is_refused(request) or key in self._placed:
            return
        if self._free > 0:  # 4
            self._free -= 1
            self._placed.add(key)
            self.decisions.append(Load(request.spec, "a request needs it"))
        elif self._claim_becoming_free(key):
            return
        elif (victim := self._find_victim()) is not None:
            self._placed.add(key)
            self._unload(victim, f"evicted for {request.spec.name}")
        elif self._is_overdue(request):  # 5
            self._hold_oldest()
            self._placed.add(key)

    def _is_refused(self, request: RequestView) -> bool:
        block = self._picture.blocked.get(load_shape(request.spec))
        if block is not None:
            error = ModelRestingError(f"{request.spec.name} is not loaded: {block.reason}", block.seconds)
            self.decisions.append(Refuse(request.id, error))
        return block is not None

    def _claim_becoming_free(self, key: str) -> bool:
        if key in self._placed:
            return True
        if not self._becoming_free:
            return False
        self._becoming_free -= 1
        self._placed.add(key)
        return True

    def _find_victim(self) -> ModelView | None:
        idle = [model for model in self._usable_models() if not self._busy[model.id]]
        return min(idle, key=lambda model: (model.spec.key in self._wanted, model.idle_since, model.id), default=None)

    def _hold_oldest(self) -> None:
        busy = [model.id for model in self._usable_models() if model.id not in self._held]
        if busy:
            self._held.add(min(busy))

    def _usable_models(self) -> list[ModelView]:
        return [m for m in self._picture.models if m.state == "ready" and m.id not in self._leaving]

    def _is_overdue(self, request: RequestView) -> bool:
        return self._picture.now >= request.since + self._picture.patience_seconds

    def drop_unwanted(self) -> None:
        for model in self._picture.models:
            if model.state == "loading" and not self._is_awaited(model):
                self._unload(model, "nobody waits for it any more")
        for model in self._usable_models():
            if not self._busy[model.id] and model.expires_at <= self._picture.now:
                self._unload(model, "its keep_alive is over")

    def _is_awaited(self, model: ModelView) -> bool:
        return any(find_mismatch(model.spec, request.spec) is None for request in self._picture.waiting)

    def wind_up(self, close_at: float) -> None:
        for request in self._picture.waiting:
            self.decisions.append(Refuse(request.id, shutdown_error()))
        for model in self._picture.models:
            if model.id not in self._leaving and (not model.busy or self._picture.now >= close_at):
                self._unload(model, "the server is shutting down")

    def _unload(self, model: ModelView, reason: str) -> None:
        self._leaving.add(model.id)
        self.decisions.append(Unload(model.id, reason))
