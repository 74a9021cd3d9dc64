"""The policy against a small world that does what it decides, in random order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ollamapy.scheduler.backoff import Block
from ollamapy.scheduler.devices import Device, Machine
from ollamapy.scheduler.placement import Wish
from ollamapy.scheduler.policy import Grant, Load, ModelView, Picture, Refuse, RequestView, Unload, decide, explain
from ollamapy.scheduler.shape import LayerShape, ModelShape
from ollamapy.scheduler.spec import LoadSpec, find_mismatch, load_shape
from tests.scheduler.specs import make_spec

PATIENCE = 5.0
KEYS = st.sampled_from("abcd")
GIB = 1 << 30
SIZES_GIB = {"a": 5, "b": 11, "c": 17, "d": 40}  # d fits no GPU alone
TOTAL = Machine(
    (Device("X0", "X", "gpu", "", 16 * GIB, 16 * GIB), Device("X1", "X", "gpu", "", 24 * GIB, 24 * GIB)),
    32 * GIB,
    30 * GIB,
)


def sized_spec(key: str, num_ctx: int) -> LoadSpec:
    layers = tuple(LayerShape(SIZES_GIB[key] * GIB // 8, 64, 64) for _ in range(8))
    shape = ModelShape(layers, 0, 0, 0, 0, 64, 128, 1000, 1, 64, 8192, is_recurrent=False)
    return replace(make_spec(key, num_ctx), shape=shape, wish=Wish(num_ctx=num_ctx, parallel=1))


PICK = st.integers(0, 1_000)


class World(RuleBasedStateMachine):
    """Models and requests; every rule is one event, after which the policy is carried out until it rests."""

    @initialize(max_loaded=st.integers(1, 3))
    def begin(self, max_loaded: int) -> None:
        self.now = 0.0
        self.max_loaded = max_loaded
        self.ids = itertools.count(1)
        self.models: dict[int, ModelView] = {}
        self.waiting: dict[int, RequestView] = {}
        self.running: dict[int, int] = {}  # request -> model
        self.asked: set[int] = set()
        self.ended: set[int] = set()
        self.blocked: dict[str, Block] = {}  # by shape
        self.is_measured = True

    # ---- events

    @rule(key=KEYS, num_ctx=st.sampled_from((2048, 4096)))
    def ask(self, key: str, num_ctx: int) -> None:
        request = RequestView(next(self.ids), sized_spec(key, num_ctx), self.now)
        self.waiting[request.id] = request
        self.asked.add(request.id)
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(pick=PICK)
    def go_away(self, pick: int) -> None:
        request_id = self.pick(self.waiting, pick)
        del self.waiting[request_id]
        self.ended.add(request_id)
        self.settle()

    @precondition(lambda self: self.running)
    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        request_id = self.pick(self.running, pick)
        model = self.models.get(self.running.pop(request_id))
        if model is not None:
            self.change(model, busy=model.busy - 1, idle_since=self.now, expires_at=self.now + 3 * model.busy)
        self.ended.add(request_id)
        self.settle()

    @precondition(lambda self: self.of_state("loading"))
    @rule(pick=PICK, succeeds=st.booleans())
    def end_load(self, pick: int, succeeds: bool) -> None:
        model = self.models[self.pick(self.of_state("loading"), pick)]
        if succeeds:
            self.change(model, state="ready", idle_since=self.now, expires_at=self.now + 10, is_measured=True)
        else:
            served = [r for r in self.waiting.values() if load_shape(model.spec) == load_shape(r.spec)]
            for request in served:
                del self.waiting[request.id]
                self.ended.add(request.id)
            self.change(model, state="stopping")
        self.settle()

    @precondition(lambda self: self.of_state("stopping"))
    @rule(pick=PICK)
    def end_stop(self, pick: int) -> None:
        del self.models[self.pick(self.of_state("stopping"), pick)]
        self.settle()

    @precondition(lambda self: self.of_state("ready"))
    @rule(pick=PICK)
    def die(self, pick: int) -> None:
        self.change(self.models[self.pick(self.of_state("ready"), pick)], state="stopping")
        self.settle()

    @rule(seconds=st.sampled_from((1.0, 4.0, 20.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    @rule(key=KEYS, num_ctx=st.sampled_from((2048, 4096)))
    def block_or_unblock(self, key: str, num_ctx: int) -> None:
        shape = load_shape(sized_spec(key, num_ctx))
        if self.blocked.pop(shape, None) is None:
            self.blocked[shape] = Block("it failed", 30.0)
        self.settle()

    # ---- the world does what is decided

    def settle(self) -> None:
        while decisions := decide(self.picture()):
            for decision in decisions:
                match decision:
                    case Load():
                        self.load(decision)
                    case Unload(model_id=model_id):
                        model = self.models[model_id]
                        assert model.busy == 0, "a model in use is never evicted"
                        assert model.state != "stopping"
                        self.change(model, state="stopping")
                    case Grant():
                        self.grant(decision)
                    case Refuse(request_id=request_id):
                        assert load_shape(self.waiting.pop(request_id).spec) in self.blocked
                        self.ended.add(request_id)

    def load(self, decision: Load) -> None:
        assert decision.spec.key not in {model.spec.key for model in self.models.values()}
        assert decision.spec.origin in [request.spec for request in self.waiting.values()]
        assert load_shape(decision.spec) not in self.blocked
        model_id = next(self.ids)
        self.models[model_id] = ModelView(model_id, decision.spec, "loading", is_measured=False)

    def grant(self, decision: Grant) -> None:
        request, model = self.waiting.pop(decision.request_id), self.models[decision.model_id]
        assert model.state == "ready"
        assert find_mismatch(model.spec, request.spec) is None
        self.running[request.id] = model.id
        self.change(model, busy=model.busy + 1)

    def picture(self) -> Picture:
        return Picture(
            self.now,
            tuple(self.models.values()),
            tuple(self.waiting.values()),
            self.max_loaded,
            PATIENCE,
            self.blocked,
            machine=self.measured() if self.is_measured else None,
        )

    def measured(self) -> Machine:
        """What a measurement shows: models that load have not taken their memory yet, mapped files never do."""
        machine = TOTAL
        for model in self.models.values():
            if model.is_measured and model.spec.placement is not None:
                placement = model.spec.placement
                machine = machine.without(placement.device_bytes, placement.host_bytes - placement.mapped_bytes)
        return machine

    def change(self, model: ModelView, **fields: object) -> None:
        self.models[model.id] = replace(model, **fields)  # type: ignore[arg-type]

    def of_state(self, state: str) -> dict[int, ModelView]:
        return {model.id: model for model in self.models.values() if model.state == state}

    def pick(self, things: Mapping[int, object], number: int) -> int:
        return list(things)[number % len(things)]

    # ---- what always holds

    @invariant()
    def the_limit_is_kept(self) -> None:
        assert len(self.models) <= self.max_loaded

    @invariant()
    def memory_is_never_overcommitted(self) -> None:
        left = TOTAL
        for model in self.models.values():
            placement = model.spec.placement
            assert placement is not None
            left = left.without(placement.device_bytes, placement.host_bytes)
        assert all(device.free_bytes >= 0 for device in left.devices)
        assert left.host_free_bytes >= 0

    @invariant()
    def who_waits_is_told_why(self) -> None:
        assert set(explain(self.picture())) == set(self.waiting)

    @rule()
    def lose_and_regain_the_measurement(self) -> None:
        self.is_measured = False
        known = set(self.models)
        self.settle()
        assert set(self.models) <= known, "nothing is loaded blindly"
        self.is_measured = True
        self.settle()

    @invariant()
    def no_request_is_lost(self) -> None:
        assert self.asked == set(self.waiting) | set(self.running) | self.ended

    @invariant()
    def somebody_works_while_somebody_waits(self) -> None:
        assert not self.waiting or self.models

    @invariant()
    def idle_models_are_kept_from_nobody(self) -> None:
        for model in self.of_state("ready").values():
            if not model.busy:
                assert not any(find_mismatch(model.spec, request.spec) is None for request in self.waiting.values())
                assert model.expires_at > self.now

    def teardown(self) -> None:
        """Every request is served in the end, though new ones for the loaded models never cease to come."""
        patient = set(self.waiting)
        for _ in range(8 * (len(patient) + 4)):
            if not patient & set(self.waiting):
                return
            for model in list(self.of_state("ready").values()):
                self.ask(model.spec.key, model.spec.num_ctx)
            self.pass_time(PATIENCE)
            for model_id in list(self.of_state("loading")):
                self.end_load(list(self.of_state("loading")).index(model_id), succeeds=True)
            for request_id in list(self.running)[: max(1, len(self.running) - len(self.models))]:
                self.finish(list(self.running).index(request_id))
            for model_id in list(self.of_state("stopping")):
                self.end_stop(list(self.of_state("stopping")).index(model_id))
        assert not patient & set(self.waiting), "a request starves"


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)


def test_a_switch_happens_under_a_constant_stream_of_requests_for_the_loaded_model() -> None:
    """At every moment at least one request for `a` is running, as long as new ones are granted."""
    world = World()
    world.begin(max_loaded=1)
    world.ask("a", 4096)
    world.end_load(0, succeeds=True)
    world.ask("b", 4096)
    switched_at = math.inf
    for second in range(20):
        world.ask("a", 4096)
        world.pass_time(1.0)
        if world.running:
            world.finish(0)
        if world.of_state("stopping"):
            switched_at = second
            break
    assert switched_at <= PATIENCE + 1
