import json

import pytest

HELLO = {
    "model": "wren",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "hello"}],
    "thinking": {"type": "disabled"},
}


def post(daemon, body, path="/v1/messages"):
    return daemon.client.post(path, json=body)


def named_events(daemon, body):
    texts = post(daemon, body).text.removesuffix("\n\n").split("\n\n")
    pairs = [text.split("\n") for text in texts]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def test_a_message_has_anthropics_shape(daemon):
    response = post(daemon, HELLO)
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["request-id"] == response.headers["x-request-id"]
    answer = response.json()
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "wren")
    assert answer["id"].startswith("msg_")
    (block,) = answer["content"]
    assert block["type"] == "text"
    assert "hello" in block["text"]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    assert answer["usage"]["output_tokens"] > 0


def test_a_stream_knows_the_length_of_the_prompt_before_the_first_token(daemon):
    events = named_events(daemon, {**HELLO, "stream": True})
    names = [name for name, _ in events]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert all(data["type"] == name for name, data in events)
    counted = post(daemon, HELLO, "/v1/messages/count_tokens").json()
    assert events[0][1]["message"]["usage"]["input_tokens"] == counted["input_tokens"] > 0


def test_counting_needs_no_room_for_the_prompt(daemon):
    long = {"model": "wren", "messages": [{"role": "user", "content": "x" * 5000}]}
    assert post(daemon, long, "/v1/messages/count_tokens").json()["input_tokens"] > 5000


@pytest.mark.parametrize(
    ("body", "status", "kind", "text"),
    [
        pytest.param({**HELLO, "model": "x"}, 404, "not_found_error", "model 'x' not found", id="model"),
        pytest.param({**HELLO, "max_tokens": 0}, 400, "invalid_request_error", "must be positive", id="max_tokens"),
        pytest.param({**HELLO, "top_p": 5}, 400, "invalid_request_error", "top_p", id="option"),
        pytest.param(
            {**HELLO, "stream": True, "messages": [{"role": "user", "content": "x" * 1500}]},
            400,
            "invalid_request_error",
            "too long",
            id="context",
        ),
    ],
)
def test_a_wrong_request_has_anthropics_error(daemon, body, status, kind, text):
    response = post(daemon, body)
    assert response.status_code == status
    answer = response.json()
    assert (answer["type"], answer["error"]["type"]) == ("error", kind)
    assert text in answer["error"]["message"]
    assert answer["request_id"] == response.headers["request-id"]


def test_images_are_refused_for_a_text_model(daemon):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    response = post(daemon, {**HELLO, "messages": [{"role": "user", "content": [image]}]})
    assert response.status_code == 400
    assert "does not support images" in response.json()["error"]["message"]


def test_a_wrong_method_has_anthropics_error(daemon):
    response = daemon.client.get("/v1/messages")
    assert (response.status_code, response.json()["error"]["type"]) == (405, "invalid_request_error")


def test_a_failure_in_mid_stream_is_the_last_event(daemon):
    daemon.lines("/api/create", {"model": "crash", "from": "wren", "template": "!crash-decode"})
    events = named_events(daemon, {**HELLO, "model": "crash", "thinking": {}, "stream": True})
    assert events[0][0] == "message_start"
    name, data = events[-1]
    assert (name, data["type"], data["error"]["type"]) == ("error", "error", "api_error")
    assert "killed by signal 9" in data["error"]["message"]
    assert data["request_id"].startswith("req_")
    assert post(daemon, HELLO).status_code == 200
