import json

import pytest

HELLO = {"model": "wren", "messages": [{"role": "user", "content": "hello"}], "reasoning_effort": "none"}


def post(daemon, body):
    return daemon.client.post("/v1/chat/completions", json=body)


def test_a_completion_has_openais_shape(daemon):
    response = post(daemon, HELLO)
    assert response.headers["content-type"].startswith("application/json")
    answer = response.json()
    assert answer["object"] == "chat.completion"
    assert answer["id"].startswith("chatcmpl-")
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert "hello" in choice["message"]["content"]
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_a_stream_is_server_sent_events_with_one_id_and_time(daemon):
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    assert post(daemon, body).headers["content-type"].startswith("text/event-stream")
    *events, done = daemon.events("/v1/chat/completions", body)
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"] > 0) == ([], True)


def test_models_are_listed_and_found(daemon):
    assert daemon.client.post("/api/show", json={"model": "wren"}).status_code == 200
    listed = daemon.client.get("/v1/models").json()
    assert listed["object"] == "list"
    entry = next(model for model in listed["data"] if model["id"] == "wren:latest")
    assert (entry["object"], entry["owned_by"]) == ("model", "library")
    assert entry["created"] > 0
    assert daemon.client.get("/v1/models/wren").json() == {**entry, "id": "wren"}
    assert daemon.client.get("/v1/models/registry.ollama.ai/library/wren:latest").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "kind", "code", "text"),
    [
        pytest.param(
            {**HELLO, "model": "x"}, 404, "not_found_error", "model_not_found", "model 'x' not found", id="model"
        ),
        pytest.param({**HELLO, "messages": []}, 400, "invalid_request_error", None, "is too short", id="messages"),
        pytest.param({**HELLO, "temperature": "x"}, 400, "invalid_request_error", None, '"temperature"', id="type"),
        pytest.param(
            {**HELLO, "messages": [{"role": "user", "content": "x" * 1500}]},
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "too long",
            id="context",
        ),
    ],
)
def test_a_wrong_request_has_openais_error(daemon, body, status, kind, code, text):
    response = post(daemon, body)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert text in error["message"]


def test_unknown_paths_and_models_have_openais_error(daemon):
    assert daemon.client.get("/v1/models/x").json()["error"]["type"] == "not_found_error"
    assert daemon.client.get("/v1/nope").json()["error"]["type"] == "not_found_error"
    assert daemon.client.get("/v1/chat/completions").status_code == 405


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000])
def test_t63_a_bad_body_has_openais_error(daemon, body):
    response = daemon.client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [True, False])
def test_t62_images_are_refused_clearly(daemon, stream):
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    response = post(daemon, {**HELLO, "stream": stream, "messages": [{"role": "user", "content": [part]}]})
    assert response.status_code == 400
    assert "does not support images" in response.json()["error"]["message"]


def test_a_failure_in_mid_stream_is_the_last_event(daemon):
    broken = {"role": "user", "content": "x"}
    daemon.lines("/api/create", {"model": "crash", "from": "wren", "template": "!crash-decode"})
    *_, last = daemon.events("/v1/chat/completions", {"model": "crash", "messages": [broken], "stream": True})
    error = json.loads(last)["error"]
    assert error["type"] == "api_error"
    assert "killed by signal 9" in error["message"]
    assert daemon.client.get("/api/version").status_code == 200


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses"])
@pytest.mark.parametrize(
    ("fields", "status", "kind", "text"),
    [
        pytest.param({"model": "x"}, 404, "not_found_error", "model 'x' not found", id="model"),
        pytest.param({"temperature": "x"}, 400, "invalid_request_error", '"temperature"', id="type"),
        pytest.param({"top_p": 7}, 400, "invalid_request_error", "top_p", id="option"),
        pytest.param({"logit_bias": {"9999": 1}}, 400, "invalid_request_error", "the vocabulary has", id="bias"),
    ],
)
def test_the_other_routes_have_openais_errors_too(daemon, path, fields, status, kind, text):
    response = daemon.client.post(path, json={"model": "wren", "prompt": "a", "input": "a", "stream": True, **fields})
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert text in response.json()["error"]["message"]


def test_a_failed_completion_ends_its_stream_with_the_error(daemon):
    body = {"model": "wren", "prompt": "!crash-decode", "stream": True}
    *_, last = daemon.events("/v1/completions", body)
    assert "killed by signal 9" in json.loads(last)["error"]["message"]


def test_one_failure_among_several_answers_ends_all(daemon):
    response = daemon.client.post("/v1/completions", json={"model": "wren", "prompt": ["a", "!failed:option"], "n": 2})
    assert response.status_code == 400
    assert daemon.client.get("/api/ps").json()["models"][0].get("active_requests") is None


def test_a_failed_response_ends_its_stream_with_the_error(daemon):
    daemon.lines("/api/create", {"model": "crash", "from": "wren", "template": "!crash-decode"})
    *_, error, last = daemon.events("/v1/responses", {"model": "crash", "input": "x", "stream": True})
    assert error.startswith("event: error\n")
    assert last.startswith("event: response.failed\n")
    assert "killed by signal 9" in json.loads(last.partition("data: ")[2])["response"]["error"]["message"]


def test_an_answer_is_given_as_many_times_as_asked(daemon):
    answer = post(daemon, {**HELLO, "n": 3}).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    *events, done = daemon.events("/v1/chat/completions", {**HELLO, "n": 3, "stream": True})
    assert done == "[DONE]"
    assert {choice["index"] for event in events for choice in json.loads(event)["choices"]} == {0, 1, 2}


def test_a_prompt_too_long_to_be_counted_has_the_same_code_as_another(daemon):
    for length in (1500, 400_000):
        body = {"model": "wren", "messages": [{"role": "user", "content": "x" * length}]}
        response = daemon.client.post("/v1/chat/completions", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_far_too_many_answers_are_refused_with_the_range(daemon):
    body = {"model": "wren", "messages": [{"role": "user", "content": "x"}], "n": 10**9}
    response = daemon.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert 'field "n" must be a whole number between 1 and ' in response.json()["error"]["message"]
