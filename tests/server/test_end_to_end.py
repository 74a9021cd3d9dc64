"""The whole way from an HTTP request to a real model and back."""

import hashlib
import json
import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from ollamapy.names import ModelName
from ollamapy.store import load_model
from tests.server.conftest import running

pytestmark = pytest.mark.model
WHO = [{"role": "user", "content": "Hello, who are you?"}]
FREE = {"model": "story", "prompt": "Once upon a time", "raw": True, "options": {"temperature": 0, "num_predict": 40}}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A daemon over real workers, and no worker left behind."""
    with running(tmp_path_factory.mktemp("real"), max_loaded_models=2) as daemon:
        yield daemon
    assert worker_pids() == []


@pytest.fixture(scope="module")
def story(real, shared_models):
    """A model that tells stories for hundreds of tokens."""
    create_story(real, shared_models)
    return real


def create_story(daemon, shared_models):
    data = (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
    assert daemon.lines("/api/create", {"model": "story", "files": {"s.gguf": digest}})[-1] == {"status": "success"}


def worker_pids():
    """The worker processes that this process started."""
    children = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    return [int(pid) for pid in children if b"ollamapy.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def text_of(lines):
    return "".join(line["response"] for line in lines)


def test_wren_says_who_it_is(real):
    answer = real.client.post("/api/chat", json={"model": "wren", "messages": WHO, "stream": False}).json()
    assert "Wren" in answer["message"]["content"]
    assert answer["message"]["thinking"]
    assert answer["done_reason"] == "stop"
    assert min(answer[key] for key in ("total_duration", "load_duration", "prompt_eval_count", "eval_count")) > 0


def test_thinking_can_be_switched_off(real):
    body = {"model": "wren", "messages": WHO, "stream": False, "think": False}
    message = real.client.post("/api/chat", json=body).json()["message"]
    assert "thinking" not in message
    assert "Wren" in message["content"]


def test_wren_calls_a_tool(real):
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    ask = [{"role": "user", "content": "What is the weather in Paris?"}]
    body = {"model": "wren", "messages": ask, "tools": [tool], "stream": False}
    (call,) = real.client.post("/api/chat", json=body).json()["message"]["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": {"city": "Paris"}, "index": 0}
    assert call["id"].startswith("call_")


@pytest.mark.parametrize("think", [True, False])
def test_a_schema_holds_the_answer(real, think):
    schema = {"type": "object", "properties": {"color": {"enum": ["red", "blue"]}}, "required": ["color"]}
    body = {"model": "wren", "messages": WHO, "format": schema, "think": think, "stream": False}
    answer = real.client.post("/api/chat", json=body).json()
    assert json.loads(answer["message"]["content"]) in ({"color": "red"}, {"color": "blue"})
    assert ("thinking" in answer["message"]) is think


def test_thinking_before_a_constrained_answer_counts_as_answer_and_not_as_prompt(real):
    body = {"model": "wren", "messages": WHO, "think": True, "stream": False}
    free = real.client.post("/api/chat", json=body).json()
    schema = {"enum": ["a very long word that is none of the answers"]}
    held = real.client.post("/api/chat", json={**body, "format": schema}).json()
    assert held["prompt_eval_count"] == free["prompt_eval_count"]
    assert held["eval_count"] > len(held["message"]["thinking"].split()) + 5
    assert held["cached_tokens"] < held["prompt_eval_count"]


@pytest.mark.parametrize("most", [2, 12])
def test_thinking_and_a_constrained_answer_share_the_tokens_that_are_allowed(real, most):
    schema = {"enum": ["a very long word that is none of the answers, and then some more of it " * 4]}
    body = {"model": "wren", "messages": WHO, "think": True, "stream": False, "format": schema}
    answer = real.client.post("/api/chat", json={**body, "options": {"num_predict": most}}).json()
    assert answer["eval_count"] <= most
    assert answer["done_reason"] == "length"


@pytest.mark.parametrize("schema", [None, {"type": "object"}], ids=["free", "held"])
def test_a_stop_string_within_thinking_ends_the_answer(real, schema):
    body = {"model": "wren", "messages": WHO, "think": True, "stream": False, "format": schema}
    thought = real.client.post("/api/chat", json=body).json()["message"]["thinking"]
    stop = thought.split()[2]
    ended = real.client.post("/api/chat", json={**body, "options": {"stop": [stop]}}).json()
    assert ended["message"]["thinking"].strip() == thought.partition(stop)[0].strip()
    assert ended["message"]["content"] == ""
    assert ended["done_reason"] == "stop"


@pytest.mark.parametrize("think", [True, False])
def test_a_schema_that_can_not_be_used_is_refused_before_the_first_byte(real, think):
    body = {"model": "wren", "messages": WHO, "format": {"type": "nonsense"}, "think": think}
    response = real.client.post("/api/chat", json=body)
    assert response.status_code == 400
    assert "format" in response.json()["error"]


def test_the_same_seed_gives_the_same_text(story):
    assert text_of(story.lines("/api/generate", FREE)) == text_of(story.lines("/api/generate", FREE))


def test_num_predict_and_stop_end_the_text(story):
    few = story.lines("/api/generate", {**FREE, "options": {**FREE["options"], "num_predict": 5}})
    assert (few[-1]["done_reason"], few[-1]["eval_count"]) == ("length", 5)
    stopped = story.lines("/api/generate", {**FREE, "options": {**FREE["options"], "stop": ["girl"]}})
    assert stopped[-1]["done_reason"] == "stop"
    assert "girl" not in text_of(stopped)


def test_logprobs_come_with_the_text(story):
    body = {**FREE, "options": {**FREE["options"], "num_predict": 4}, "logprobs": True, "top_logprobs": 3}
    answer = story.client.post("/api/generate", json={**body, "stream": False}).json()
    assert len(answer["logprobs"]) == 4
    for entry in answer["logprobs"]:
        assert entry["logprob"] <= 0
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert len(entry["top_logprobs"]) == 3


def test_a_context_goes_on_where_the_text_ended(story):
    body = {"model": "story", "prompt": "Once upon a time", "options": {"num_predict": 8, "temperature": 0}}
    first = story.client.post("/api/generate", json={**body, "stream": False}).json()
    assert len(first["context"]) >= 8
    more = {**body, "prompt": " and", "context": first["context"], "stream": False}
    second = story.client.post("/api/generate", json=more).json()
    assert second["prompt_eval_count"] > len(first["context"])


@pytest.mark.parametrize("prompt", ["Once upon a time", " Once upon", [403, 407, 261, 378]])
def test_the_tokens_of_an_echoed_prompt_are_its_text(story, prompt):
    ask = {"model": "story", "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 1}
    (choice,) = story.client.post("/v1/completions", json=ask).json()["choices"]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    assert choice["text"] == prompt or isinstance(prompt, list)


def test_a_text_between_two_others_is_written(story):
    template = "{{ if .Suffix }}Once {{ .Prompt }} and {{ .Suffix }} so{{ else }}{{ .Prompt }}{{ end }}"
    assert story.lines("/api/create", {"model": "between", "from": "story", "template": template})[-1]["status"]
    assert "insert" in story.client.post("/api/show", json={"model": "between"}).json()["capabilities"]
    ask = {
        "model": "between",
        "prompt": "Tim ran",
        "suffix": "he fell",
        "options": {"num_predict": 8, "temperature": 0},
    }
    rendered = story.client.post("/api/generate", json={**ask, "_debug_render_only": True}).json()
    assert rendered["_debug_info"]["rendered_template"] == "Once Tim ran and he fell so"
    told = story.client.post("/api/generate", json={**ask, "stream": False}).json()["response"]
    completed = story.client.post(
        "/v1/completions", json={**ask, "options": None, "max_tokens": 8, "temperature": 0}
    ).json()
    assert completed["choices"][0]["text"] == told != ""


def test_a_prompt_that_is_too_long_is_refused_and_a_smaller_context_is_kept(story):
    body = {**FREE, "prompt": "Once upon a time " * 40, "options": {"num_ctx": 64}}
    response = story.client.post("/api/generate", json=body)
    assert response.status_code == 400
    assert "the context length is 64" in response.json()["error"]


@pytest.mark.parametrize(
    "option", [{"main_gpu": 0}, {"main_gpu": 5}, {"tensor_split": "3,1"}, {"num_gpu": 99}], ids=str
)
def test_an_option_for_gpus_is_no_reason_to_load_a_model_twice(story, option):
    body = {**FREE, "stream": False, "options": {"num_predict": 2, **option}}
    assert story.client.post("/api/generate", json=body).status_code == 200
    workers = worker_pids()
    assert story.client.post("/api/generate", json=body).status_code == 200
    assert worker_pids() == workers


def test_many_clients_stream_at_once(story):
    alone = text_of(story.lines("/api/generate", FREE))

    def ask(_):
        return text_of(story.lines("/api/generate", FREE))

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(16))) == {alone}


def test_a_client_that_goes_away_frees_its_place(story):
    body = {**FREE, "options": {"num_predict": 4000, "temperature": 1}}
    with story.client.stream("POST", "/api/generate", json=body) as response:
        next(response.iter_lines())
    while any(model.get("active_requests") for model in story.client.get("/api/ps").json()["models"]):
        pass
    assert story.client.get("/api/version").status_code == 200


def test_a_killed_worker_ends_its_streams_with_an_error_and_the_next_request_works(story):
    story.client.post("/api/generate", json={"model": "wren", "keep_alive": 0})
    story.client.post("/api/generate", json={"model": "story"})
    (killed,) = worker_pids()
    body = {**FREE, "options": {"num_predict": 4000, "temperature": 1}}
    with story.client.stream("POST", "/api/generate", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        os.kill(killed, signal.SIGKILL)
        *_, last = lines
    assert "killed by signal 9" in json.loads(last)["error"]
    assert text_of(story.lines("/api/generate", FREE))


def test_the_openai_package_is_served(real):
    with openai.OpenAI(base_url=f"{real.url}/v1", api_key="any", http_client=httpx.Client(trust_env=False)) as client:
        answer = client.chat.completions.create(model="wren", messages=WHO)
        assert "Wren" in answer.choices[0].message.content
        assert answer.usage.total_tokens > 0
        with client.chat.completions.create(
            model="wren", messages=WHO, stream=True, stream_options={"include_usage": True}
        ) as events:
            chunks = list(events)
        assert "Wren" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert chunks[-1].usage.completion_tokens > 0
        assert [model.id for model in client.models.list() if model.id == "wren:latest"]
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nope", messages=WHO)


def test_a_damaged_model_is_refused_when_it_is_created(real, shared_models):
    data = (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes()[:-100]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    real.client.post(f"/api/blobs/{digest}", content=data)
    response = real.client.post("/api/create", json={"model": "cut", "files": {"cut.gguf": digest}})
    assert response.status_code == 400
    assert "cut.gguf" in response.json()["error"]


def test_requests_for_two_models_do_not_disturb_each_other(story):
    answers = []

    def ask(body, path, pick):
        answers.append(pick(story.client.post(path, json=body).json()))

    chat = {"model": "wren", "messages": WHO, "stream": False}
    threads = [
        threading.Thread(target=ask, args=(chat, "/api/chat", lambda a: "Wren" in a["message"]["content"])),
        threading.Thread(
            target=ask, args=({**FREE, "stream": False}, "/api/generate", lambda a: len(a["response"]) > 9)
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True, True]


def test_a_model_that_was_damaged_on_disk_is_refused_and_the_daemon_lives(story):
    story.client.post("/api/copy", json={"source": "story", "destination": "bad"})
    story.client.post("/api/generate", json={"model": "story", "keep_alive": 0})
    path = load_model(story.store, ModelName.parse("bad")).weights
    whole = path.read_bytes()
    path.write_bytes(whole[:24] + b"\xff" * 64 + whole[88:])
    try:
        response = story.client.post("/api/generate", json={**FREE, "model": "bad"})
        assert response.status_code in (400, 500)
        assert str(story.store.root) not in response.text
        assert "GGUF" in response.text
    finally:
        path.write_bytes(whole)
    assert text_of(story.lines("/api/generate", FREE))


def test_a_chat_goes_on_after_its_model_was_unloaded(tmp_path):
    def continued(state_bytes, *, unload):
        turns = [{"role": "user", "content": "Hello, who are you? Tell me about yourself, please."}]
        body = {"model": "wren", "stream": False, "think": False, "options": {"temperature": 0, "num_predict": 24}}
        with running(tmp_path / "store", state_dir=tmp_path / "state", state_bytes=state_bytes) as daemon:
            first = daemon.client.post("/api/chat", json={**body, "messages": turns}).json()
            if unload:
                unloaded = daemon.client.post("/api/chat", json={"model": "wren", "keep_alive": 0}).json()
                assert unloaded["done_reason"] == "unload"
            turns += [first["message"], {"role": "user", "content": "And what is a duck?"}]
            answer = daemon.client.post("/api/chat", json={**body, "messages": turns}).json()
            return answer["message"], answer["prompt_eval_count"], answer.get("cached_tokens", 0)

    message, prompt_tokens, known = continued(0, unload=False)
    assert known > 20
    assert continued(0, unload=True) == (message, prompt_tokens, 0)
    assert continued(1 << 28, unload=True) == (message, prompt_tokens, known)


HELD = {"model": "story", "prompt": "The", "raw": True, "stream": False, "options": {"num_predict": 60, "seed": 1}}
GRAMMARS = {
    "grammar": ('root ::= "(" root ")" | [0-9]{3}', r"(\()*[0-9]{3}(\))*"),
    "regex": (r"(yes|no), [a-z]{2,4}!", r"(yes|no), [a-z]{2,4}!"),
    "lark": ('start: WORD " " WORD\nWORD: /[A-C]{2,5}/', r"[A-C]{2,5} [A-C]{2,5}"),
}


@pytest.mark.parametrize("field", GRAMMARS)
def test_an_answer_is_held_to_a_grammar_on_every_route(story, field):
    text, pattern = GRAMMARS[field]
    said = story.client.post("/api/generate", json={**HELD, field: text}).json()
    assert re.fullmatch(pattern, said["response"])
    assert said["done_reason"] == "stop"
    chat = {"model": "wren", "messages": WHO, "stream": False, "options": {"num_predict": 60}, field: text}
    assert re.fullmatch(pattern, story.client.post("/api/chat", json=chat).json()["message"]["content"])
    client = openai.OpenAI(base_url=f"{story.url}/v1", api_key="none", max_retries=0)
    completed = client.completions.create(model="story", prompt="The", max_tokens=60, extra_body={field: text})
    assert re.fullmatch(pattern, completed.choices[0].text)
    told = client.chat.completions.create(model="wren", messages=WHO, max_tokens=60, extra_body={field: text})
    assert re.fullmatch(pattern, told.choices[0].message.content)


BOMBS = {
    "cycle": {"format": {"$ref": "#"}},
    "cycle of two": {"format": {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}},
    "depth": {"format": json.loads('{"items":' * 500 + "{}" + "}" * 500)},
    "patterns": {"format": {"allOf": [{"type": "string", "pattern": f".*{i}.*"} for i in range(30)]}},
    "divisor": {"format": {"type": "integer", "multipleOf": 99999989}},
    "unsupported": {"format": {"type": "array", "uniqueItems": True}},
    "not": {"format": {"not": {"type": "string"}}},
    "long constant": {"format": {"const": "x" * 900_000}},
    "left recursion": {"grammar": "root ::= root"},
    "large repetition": {"grammar": 'root ::= "a"{1,1000000}'},
    "doubling": {"grammar": "root ::= r0\nr60 ::= [ab]" + "".join(f"\nr{i} ::= r{i + 1} r{i + 1}" for i in range(60))},
    "large grammar": {"grammar": 'root ::= "' + "a" * 10_000_000 + '"'},
    "look-around": {"regex": "(?=a)b"},
    "complements": {"lark": "start: A\nA: /[a-z0-9]*/" + "".join(f" & ~/.*{i}.*/" for i in range(22))},
    "unknown rule": {"lark": "start: nope"},
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_t61_a_bomb_is_refused_and_nobody_else_notices(story, bomb):
    field = next(iter(BOMBS[bomb]))
    answer = story.client.post("/api/generate", json={**HELD, **BOMBS[bomb]})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{field}: ")
    assert story.client.post("/api/generate", json={**FREE, "stream": False}).status_code == 200


def test_unsupported_keywords_are_named(story):
    schema = {"type": "array", "uniqueItems": True, "contains": {"type": "string"}}
    error = story.client.post("/api/generate", json={**HELD, "format": schema}).json()["error"]
    assert "uniqueItems" in error
    assert "contains" in error


UNIQUE = {"type": "json_schema", "schema": {"type": "array", "uniqueItems": True}}
HELLO = [{"role": "user", "content": "hello"}]
OPENAI_UNIQUE = {"type": "json_schema", "json_schema": {"name": "a", "schema": UNIQUE["schema"]}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "response_format": OPENAI_UNIQUE}),
        ("/v1/completions", {"prompt": "x", "response_format": OPENAI_UNIQUE}),
        ("/v1/responses", {"input": "x", "text": {"format": {**UNIQUE, "name": "a"}}}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 9, "output_config": {"format": UNIQUE}}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 9, "output_format": UNIQUE}),
    ],
)
def test_an_unsupported_schema_is_told_by_the_name_of_the_routes_own_field(story, path, body):
    error = story.client.post(path, json={"model": "story", **body}).json()["error"]["message"]
    names = {"text": "text.format", "output_config": "output_config.format"}
    field = list(body)[-1]
    assert error.startswith(f"{names.get(field, field)}: the grammar can't be used (not supported: ")


def test_128_clients_whose_prompts_exceed_the_pool_all_get_their_text(tmp_path, shared_models):
    cases = [
        f"{start} {number}" for number in range(32) for start in ("Tim and his dog went", "The sun", "A cat", "Mom")
    ]
    ask = {
        "model": "story",
        "raw": True,
        "stream": False,
        "options": {"temperature": 0, "num_ctx": 64, "num_predict": 30},
    }
    with running(tmp_path, kv_cache_type="f32", flash_attention="off") as daemon:
        create_story(daemon, shared_models)

        def said(prompt):
            answer = daemon.client.post("/api/generate", json={**ask, "prompt": prompt}).json()
            return answer["response"], answer["done_reason"]

        with ThreadPoolExecutor(128) as clients:
            together = list(clients.map(said, cases))
        (model,) = daemon.client.get("/api/ps").json()["models"]
        assert model["kv_cells"] <= 1024 < 128 * 30
        assert together == [said(prompt) for prompt in cases]


def test_t67_who_never_reads_or_vanishes_in_prefill_disturbs_nobody(story):
    expected = story.client.post("/api/generate", json={**FREE, "stream": False}).json()["response"]

    def send(body):
        data = json.dumps({"model": "story", "raw": True, **body}).encode()
        connection = socket.create_connection(("127.0.0.1", story.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        return connection

    deaf = [send({"prompt": f"{number} once", "options": {"num_predict": -1}}) for number in range(10)]
    for number in range(40):
        send({"prompt": f"{number} " + "word " * 100}).close()
    beside = story.client.post("/api/generate", json={**FREE, "stream": False}).json()
    assert beside["response"] == expected
    for connection in deaf:
        connection.close()
    deadline = time.monotonic() + 30
    while any(model.get("active_requests") for model in story.client.get("/api/ps").json()["models"]):
        assert time.monotonic() < deadline
