"""The scheduler's decisions, pure: a frozen picture of models and waiting requests in, what to do out.

First come, first served, and a model in use is never evicted. Each waiting request, in order, is one of these cases:

 1. A loaded model serves it: it is granted, unless case 6 holds that model for somebody else.
 2. Its model is loading or on its way out: it waits.
 3. Its model is loaded in a way that can't serve it (smaller context, other options): reload, once nobody uses it.
 4. Its model is not loaded, and there are a free slot and memory to place it as well as on an empty machine: it is
    loaded, with less than before where memory ran out in that. In a way in which it failed too often lately, or which
    no machine like this could hold, it is refused.
 5. A slot or memory lacks, and models are on their way out or idle: it waits for the former, and of the latter those
    go which nobody waits for and which were used longest ago, as many as it takes. Pinned models never go.
 6. What lacks is in use: it waits. When it has waited for longer than the patience, the model that was loaded first
    takes no requests that came after it, so that a stream of new ones can't keep it waiting for ever.

Who waits for memory goes before those who came later and need to load something, too.

Then models go that are loading for nobody, and idle ones whose keep_alive is over. When closing, waiting requests are
refused and models go as they become idle, or all at once when the time for that is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ollamapy.errors import ModelRestingError, ModelTooLargeError, OllamapyError, ServiceError
from ollamapy.scheduler.backoff import Block, Failure
from ollamapy.scheduler.devices import Machine
from ollamapy.scheduler.placement import Misfit, Placement, place
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
    is_pinned: bool = False
    is_measured: bool = True  # whether the machine was measured when all of this model was in memory


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request that waits for a model since `since`."""

    id: int
    spec: LoadSpec
    since: float


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a decision depends on. At most one model per key; `waiting` is in order of arrival.

    `machine` is None where it has to be measured first: models that need a placement are not loaded before.
    `blocked` holds the shapes in which no model must be loaded now, `shortages` those for which there was too little
    memory a moment ago. `close_at` is when a closing scheduler stops waiting for models in use, None for one that is
    not closing.
    """

    now: float
    models: tuple[ModelView, ...]
    waiting: tuple[RequestView, ...]
    max_loaded: int
    patience_seconds: float
    blocked: Mapping[str, Block]
    close_at: float | None = None
    machine: Machine | None = None
    shortages: Mapping[str, Failure] = field(default_factory=dict)


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


def explain(picture: Picture) -> Mapping[int, str]:
    """Return why each request that has to wait does, by its id."""
    plan = _Plan(picture)
    for request in picture.waiting:
        plan.place(request)
    return plan.waits


class _Plan:
    """The picture as the decisions so far would leave it."""

    def __init__(self, picture: Picture) -> None:
        self.decisions: list[Decision] = []
        self.waits: dict[int, str] = {}
        self._picture = picture
        self._models = {model.spec.key: model for model in picture.models}
        self._wanted = {request.spec.key for request in picture.waiting}
        self._busy = {model.id: model.busy for model in picture.models}
        self._leaving = {model.id for model in picture.models if model.state == "stopping"}
        self._held: set[int] = set()
        self._free = picture.max_loaded - len(picture.models)
        self._becoming_free = len(self._leaving)
        self._placed: set[str] = set()  # keys that got a slot, or wait for one in front of the requests that follow
        self._machine = remaining(picture.machine, picture.models)
        self._begun: list[LoadSpec] = []  # what the decisions so far load
        self._first_in_line = ""  # the key of the model that waits for memory

    def place(self, request: RequestView) -> None:
        model = self._models.get(request.spec.key)
        if model is None:
            self._place_unloaded(request)
        elif model.id in self._leaving:
            self._claim_becoming_free(request.spec.key)  # 2
            self.waits[request.id] = "the model is being unloaded and will be loaded again"
        elif (mismatch := find_mismatch(model.spec, request.spec)) is not None:
            self._place_mismatched(request, model, mismatch)
        elif model.state == "loading":
            self.waits[request.id] = "the model is loading"
        elif model.id in self._held:
            self.waits[request.id] = "others have waited longer, and the model makes room for them"
        else:  # 1
            self._busy[model.id] += 1
            self.decisions.append(Grant(request.id, model.id))

    def _place_mismatched(self, request: RequestView, model: ModelView, mismatch: str) -> None:
        if model.state != "ready":  # 2
            self.waits[request.id] = f"the model is loading in another way ({mismatch})"
        elif not self._is_refused(request):  # 4
            self.waits[request.id] = f"the model has to be loaded again ({mismatch})"
            if not self._busy[model.id]:  # 3
                self._placed.add(request.spec.key)
                self._unload(model, f"reload: {mismatch}")
            elif self._is_overdue(request):
                self._held.add(model.id)

    def _place_unloaded(self, request: RequestView) -> None:
        spec = request.spec
        if self._is_refused(request):
            return
        self.waits[request.id] = "the model is about to be loaded"
        if spec.key in self._placed:
            return
        if self._first_in_line:
            self.waits[request.id] = "models that were asked for earlier are loaded first"
        elif spec.shape is not None and self._machine is None:
            self.waits[request.id] = "free memory is being measured"
        else:
            self._place_new(request)

    def _place_new(self, request: RequestView) -> None:
        spec = request.spec
        going = [model.spec for model in self._picture.models if not model.is_pinned]
        target = self._fit(spec, self._given_back([*going, *self._begun]))
        found = self._fit(spec, self._machine)
        if isinstance(target, Misfit):
            self.decisions.append(Refuse(request.id, ModelTooLargeError(self._misfit_told(spec, target))))
        elif self._free > 0 and _is_as_good(found, target):  # 4
            self._load(spec, found)
        else:
            self._make_room(request, target)

    def _misfit_told(self, spec: LoadSpec, target: Misfit) -> str:
        shortage = self._picture.shortages.get(load_shape(spec))
        if shortage is None:
            return f"{spec.name} does not fit: {target.reason}"
        return f"{shortage.reason}; with what was asked for it can't take less: {target.reason}"

    def _load(self, spec: LoadSpec, found: Placement | Misfit | None) -> None:
        self._free -= 1
        self._placed.add(spec.key)
        if isinstance(found, Placement):
            self._machine = self._machine and self._machine.without(found.device_bytes, found.host_bytes)
            self._begun.append(spec.placed(found))
            self.decisions.append(Load(self._begun[-1], f"a request asked for it; {found.reason}"))
        else:
            self.decisions.append(Load(spec, "a request asked for it"))

    # ---- room

    def _given_back(self, specs: Sequence[LoadSpec]) -> Machine | None:
        """Return the machine with the memory of these models."""
        machine = self._machine
        for spec in specs:
            if machine is not None and (placement := spec.placement) is not None:
                machine = machine.without([-size for size in placement.device_bytes], -placement.host_bytes)
        return machine

    def _fit(self, spec: LoadSpec, machine: Machine | None) -> Placement | Misfit | None:
        if spec.shape is None or machine is None:
            return None
        shortage = self._picture.shortages.get(load_shape(spec))
        return place(spec.shape, spec.load, spec.wish, machine, shortage.tried if shortage else None)

    def _make_room(self, request: RequestView, target: Placement | None) -> None:
        spec = request.spec
        lacks_slot = self._free <= 0
        what = "a slot" if lacks_slot else "memory"
        if not lacks_slot:
            self._first_in_line = spec.key
        if self._claim_becoming_free(spec.key):  # 5
            self.waits[request.id] = f"{what} is becoming free"
        elif victims := self._find_victims(spec, target):
            self.waits[request.id] = f"{' and '.join(victim.spec.name for victim in victims)} makes room"
            self._placed.add(spec.key)
            for victim in victims:
                self._unload(victim, f"evicted for {spec.name}, which needs {what}")
        else:
            self.waits[request.id] = f"{what} is in use by {', '.join(m.spec.name for m in self._picture.models)}"
            if self._is_overdue(request):  # 6
                self._hold_oldest()
                self._placed.add(spec.key)

    def _find_victims(self, spec: LoadSpec, target: Placement | None) -> list[ModelView]:
        """Return the idle models that have to go, none where it does not help that they do."""
        idle = [model for model in self._usable_models() if not self._busy[model.id] and not model.is_pinned]
        idle.sort(key=lambda model: (model.spec.key in self._wanted, model.idle_since, model.id))
        for count in range(1, len(idle) + 1):
            if self._helps(idle[:count], spec, target):
                return self._needed(idle[:count], spec, target)
        return []

    def _needed(self, idle: list[ModelView], spec: LoadSpec, target: Placement | None) -> list[ModelView]:
        """Leave out of these models those whose going changes nothing, the ones used last first."""
        needed = list(idle)
        for model in reversed(idle):
            others = [other for other in needed if other is not model]
            if others and self._helps(others, spec, target):
                needed = others
        return needed

    def _helps(self, leaving: list[ModelView], spec: LoadSpec, target: Placement | None) -> bool:
        has_slot = self._free + len(leaving) > 0
        return has_slot and _is_as_good(self._fit(spec, self._given_back([model.spec for model in leaving])), target)

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

    def _hold_oldest(self) -> None:
        busy = [model.id for model in self._usable_models() if model.id not in self._held and not model.is_pinned]
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


def _is_as_good(found: Placement | Misfit | None, target: Placement | None) -> bool:
    """Whether a placement is as good as it could be; None stands for a model that needs none."""
    if target is None or not isinstance(found, Placement):
        return target is None
    return found.fit == target.fit and found.num_ctx >= target.num_ctx and found.gpu_layers >= target.gpu_layers


def remaining(machine: Machine | None, models: Sequence[ModelView]) -> Machine | None:
    """Return the machine without what models take that its measurement could not see.

    Those are models that were not in memory yet, and the mapped files of all: their pages count as free memory.
    """
    for model in models:
        placement = model.spec.placement
        if machine is not None and placement is not None:
            hidden = placement.mapped_bytes if model.is_measured else placement.host_bytes
            machine = machine.without(() if model.is_measured else placement.device_bytes, hidden)
    return machine
