from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from ollamapy.errors import ModelRestingError, ServiceError
from ollamapy.scheduler.backoff import Block
from ollamapy.scheduler.policy import (
    Decision,
    Grant,
    Load,
    ModelView,
    Picture,
    Refuse,
    RequestView,
    Unload,
    decide,
    next_change,
)
from ollamapy.scheduler.spec import ModelState, load_shape
from tests.scheduler.specs import make_spec

NOW = 100.0


def model(
    model_id: int,
    key: str,
    state: ModelState = "ready",
    *,
    busy: int = 0,
    idle_since: float = 0.0,
    expires_at: float = math.inf,
    num_ctx: int = 4096,
) -> ModelView:
    return ModelView(model_id, make_spec(key, num_ctx), state, busy, idle_since, expires_at)


def request(request_id: int, key: str, *, since: float = NOW, num_ctx: int = 4096) -> RequestView:
    return RequestView(request_id, make_spec(key, num_ctx), since)


def picture(
    models: list[ModelView] | None = None,
    waiting: list[RequestView] | None = None,
    *,
    max_loaded: int = 1,
    blocked: Mapping[str, str] | None = None,
    close_at: float | None = None,
) -> Picture:
    blocks = {load_shape(make_spec(key)): Block(reason, 20.0) for key, reason in (blocked or {}).items()}
    return Picture(NOW, tuple(models or ()), tuple(waiting or ()), max_loaded, 5.0, blocks, close_at)


def brief(decision: Decision) -> str:
    match decision:
        case Load(spec=spec):
            return f"load {spec.key} {spec.num_ctx}"
        case Unload(model_id=model_id, reason=reason):
            return f"unload {model_id}: {reason}"
        case Grant(request_id=request_id, model_id=model_id):
            return f"grant {request_id} {model_id}"
        case Refuse(request_id=request_id):
            return f"refuse {request_id}"


@pytest.mark.parametrize(
    ("seen", "decisions"),
    [
        pytest.param(picture(), [], id="nothing-to-do"),
        pytest.param(picture(waiting=[request(1, "a")]), ["load a 4096"], id="load-into-a-free-slot"),
        pytest.param(
            picture(waiting=[request(1, "a"), request(2, "a")]),
            ["load a 4096"],
            id="one-load-for-requests-of-one-model",
        ),
        pytest.param(
            picture(waiting=[request(1, "a"), request(2, "b"), request(3, "c")], max_loaded=2),
            ["load a 4096", "load b 4096"],
            id="slots-go-first-come-first-served",
        ),
        pytest.param(
            picture([model(1, "a", busy=3)], [request(1, "a"), request(2, "a")]),
            ["grant 1 1", "grant 2 1"],
            id="a-loaded-model-is-shared",
        ),
        pytest.param(picture([model(1, "a", "loading")], [request(1, "a")]), [], id="wait-for-the-load"),
        pytest.param(picture([model(1, "a", "stopping")], [request(1, "a")]), [], id="wait-for-the-end"),
        pytest.param(
            picture([model(1, "a", "stopping")], [request(1, "a")], max_loaded=2),
            [],
            id="never-two-processes-for-one-model",
        ),
        pytest.param(
            picture([model(1, "a")], [request(1, "b")]),
            ["unload 1: evicted for b, which needs a slot"],
            id="evict-the-idle-model",
        ),
        pytest.param(picture([model(1, "a", busy=1)], [request(1, "b")]), [], id="never-evict-a-busy-model"),
        pytest.param(
            picture([model(1, "a", idle_since=9), model(2, "b", idle_since=8)], [request(1, "c")], max_loaded=2),
            ["unload 2: evicted for c, which needs a slot"],
            id="evict-the-least-recently-used",
        ),
        pytest.param(
            picture(
                [model(1, "a", idle_since=9), model(2, "b", idle_since=8)],
                [request(1, "c"), request(2, "b")],
                max_loaded=2,
            ),
            ["unload 1: evicted for c, which needs a slot", "grant 2 2"],
            id="spare-a-model-that-somebody-waits-for",
        ),
        pytest.param(
            picture([model(1, "a")], [request(1, "b"), request(2, "a")]),
            ["unload 1: evicted for b, which needs a slot"],
            id="an-earlier-switch-comes-before-a-later-use",
        ),
        pytest.param(
            picture([model(1, "a")], [request(1, "a"), request(2, "b")]),
            ["grant 1 1"],
            id="an-earlier-use-comes-before-a-later-switch",
        ),
        pytest.param(
            picture([model(1, "a", "stopping"), model(2, "b")], [request(1, "c")], max_loaded=2),
            [],
            id="take-the-slot-that-is-becoming-free",
        ),
        pytest.param(
            picture([model(1, "a", "stopping"), model(2, "b")], [request(1, "c"), request(2, "d")], max_loaded=2),
            ["unload 2: evicted for d, which needs a slot"],
            id="one-slot-each",
        ),
        pytest.param(
            picture([model(1, "a", num_ctx=2048)], [request(1, "a", num_ctx=4096)]),
            ["unload 1: reload: num_ctx 2048 -> 4096"],
            id="reload-for-a-larger-context",
        ),
        pytest.param(
            picture([model(1, "a", num_ctx=4096)], [request(1, "a", num_ctx=2048)]),
            ["grant 1 1"],
            id="no-reload-for-a-smaller-context",
        ),
        pytest.param(
            picture([model(1, "a", num_ctx=2048, busy=1)], [request(1, "a", num_ctx=4096), request(2, "a", num_ctx=1)]),
            ["grant 2 1"],
            id="no-reload-while-in-use",
        ),
        pytest.param(
            picture(
                [model(1, "a", num_ctx=2048, busy=1)],
                [request(1, "a", num_ctx=4096, since=NOW - 5), request(2, "a", num_ctx=1)],
            ),
            [],
            id="an-overdue-reload-holds-its-model",
        ),
        pytest.param(
            picture([model(1, "a", busy=1)], [request(1, "b", since=NOW - 4.9), request(2, "a")]),
            ["grant 2 1"],
            id="a-patient-switch-lets-others-pass",
        ),
        pytest.param(
            picture([model(1, "a", busy=1)], [request(1, "b", since=NOW - 5), request(2, "a")]),
            [],
            id="an-overdue-switch-holds-the-model",
        ),
        pytest.param(
            picture([model(1, "a", busy=1)], [request(2, "a", since=NOW - 6), request(1, "b", since=NOW - 5)]),
            ["grant 2 1"],
            id="an-overdue-switch-holds-nobody-who-came-before",
        ),
        pytest.param(
            picture(
                [model(1, "a", busy=1), model(2, "b", busy=1)],
                [request(1, "c", since=NOW - 9), request(2, "b"), request(3, "a")],
                max_loaded=2,
            ),
            ["grant 2 2"],
            id="one-overdue-switch-holds-one-model",
        ),
        pytest.param(
            picture(
                [model(1, "a", busy=1), model(2, "b", busy=1)],
                [request(1, "c", since=NOW - 9), request(2, "d", since=NOW - 9), request(3, "b"), request(4, "a")],
                max_loaded=2,
            ),
            [],
            id="two-overdue-switches-hold-two-models",
        ),
        pytest.param(
            picture([model(1, "a", "loading")]), ["unload 1: nobody waits for it any more"], id="give-up-a-load"
        ),
        pytest.param(
            picture([model(1, "a", "loading", num_ctx=2048)], [request(1, "a", num_ctx=4096)]),
            ["unload 1: nobody waits for it any more"],
            id="give-up-a-load-that-serves-nobody",
        ),
        pytest.param(picture([model(1, "a", expires_at=NOW + 1)]), [], id="keep-alive"),
        pytest.param(
            picture([model(1, "a", expires_at=NOW)]), ["unload 1: its keep_alive is over"], id="keep-alive-is-over"
        ),
        pytest.param(picture([model(1, "a", busy=1, expires_at=NOW)]), [], id="keep-alive-waits-for-requests"),
        pytest.param(
            picture([model(1, "a", expires_at=NOW)], [request(1, "a")]), ["grant 1 1"], id="a-request-saves-its-model"
        ),
        pytest.param(
            picture(waiting=[request(1, "a"), request(2, "b")], blocked={"a": "it crashed"}),
            ["refuse 1", "load b 4096"],
            id="refuse-a-model-that-keeps-failing",
        ),
        pytest.param(
            picture(waiting=[request(1, "a"), request(2, "a", num_ctx=2048)], blocked={"a": "it crashed"}),
            ["refuse 1", "load a 2048"],
            id="load-it-in-another-way",
        ),
        pytest.param(
            picture([model(1, "a", num_ctx=2048)], [request(1, "a")], blocked={"a": "it crashed"}),
            ["refuse 1"],
            id="keep-what-works-from-a-reload-that-fails",
        ),
        pytest.param(
            picture(
                [model(1, "a"), model(2, "b", busy=1), model(3, "c", "loading"), model(4, "d", "stopping")],
                [request(1, "a")],
                max_loaded=4,
                close_at=NOW + 1,
            ),
            ["refuse 1", "unload 1: the server is shutting down", "unload 3: the server is shutting down"],
            id="closing-lets-running-requests-end",
        ),
        pytest.param(
            picture([model(1, "a", busy=1)], close_at=NOW),
            ["unload 1: the server is shutting down"],
            id="closing-does-not-wait-for-ever",
        ),
    ],
)
def test_decisions(seen: Picture, decisions: list[str]) -> None:
    assert [brief(decision) for decision in decide(seen)] == decisions


def test_a_refusal_tells_why() -> None:
    (refusal,) = decide(picture(waiting=[request(1, "a")], blocked={"a": "it crashed"}))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, ModelRestingError)
    assert refusal.error.retry_after_seconds == 20
    assert refusal.error.message == "a is not loaded: it crashed"


def test_a_closing_scheduler_refuses_with_a_service_error() -> None:
    (refusal,) = decide(picture(waiting=[request(1, "a")], close_at=NOW))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, ServiceError)


@pytest.mark.parametrize(
    ("seen", "when"),
    [
        pytest.param(picture(), math.inf, id="nothing"),
        pytest.param(picture([model(1, "a", expires_at=NOW + 7)]), NOW + 7, id="keep-alive"),
        pytest.param(picture([model(1, "a", busy=1, expires_at=NOW + 7)]), math.inf, id="busy"),
        pytest.param(picture([model(1, "a", "loading", expires_at=NOW + 7)]), math.inf, id="loading"),
        pytest.param(picture(waiting=[request(1, "b", since=NOW - 2)]), NOW + 3, id="patience"),
        pytest.param(picture(waiting=[request(1, "b", since=NOW - 9)]), math.inf, id="patience-is-over"),
        pytest.param(picture(close_at=NOW + 2), NOW + 2, id="closing"),
    ],
)
def test_the_next_change_by_time_alone(seen: Picture, when: float) -> None:
    assert next_change(seen) == when
