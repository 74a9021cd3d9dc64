"""Tool calls and thinking of every family, from an HTTP request to a real model and back, by each API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ollamapy.parsing.answer import answer_marks
from tests.server.conftest import Daemon, running
from tests.server.families import write_family_model

pytestmark = pytest.mark.model
FAMILIES = (
    "ByteDance-Seed-OSS",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "GLM-4.6",
    "GigaChat3-10B-A1.8B",
    "Apertus-8B-Instruct",
    "Kimi-K2-Instruct",
    "Kimi-K3",
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "fireworks-ai-llama-3-firefunction-v2",
    "muse-glimmer",
    "LFM2-8B-A1B",
    "MiniMax-M2",
    "MiniMax-M3",
    "Mistral-Small-3.2-24B-Instruct-2506",
    "NVIDIA-Nemotron-Nano-v2",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen3-Coder",
    "deepseek-ai-DeepSeek-V3.1",
    "deepseek-ai-DeepSeek-V3.2",
    "google-gemma-4-31B-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "meetkai-functionary-medium-v3.1",
    "meta-llama-Llama-3.1-8B-Instruct",
    "meetkai-functionary-medium-v3.2",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "openai-gpt-oss-120b",
    "openbmb-MiniCPM5-1B",
    "tencent-Hy3",
    "upstage-Solar-Open-100B",
)
# One value for each parameter: the grammar admits a single call.
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ['Zü "o" <t>'], "description": "Name"},
                "days": {"type": "integer", "const": 3, "description": "How far ahead"},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
OTHER = {"type": "function", "function": {"name": "other", "description": "Other", "parameters": {"type": "object"}}}
ARGUMENTS = {"city": 'Zü "o" <t>', "days": 3}
ASK = [{"role": "user", "content": "Weather?"}]
OPTIONS = {"num_ctx": 8192, "num_predict": 300, "temperature": 0}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("calls")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def families(real: Daemon, shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """A model per family: one set of weights under each chat template."""
    folder = shared_models / "templates" / "llama.cpp"
    sources = {name: (folder / f"{name}.jinja").read_text("utf-8") for name in FAMILIES}
    found = dict.fromkeys(mark for source in sources.values() for mark in answer_marks(source))
    marks = [mark for mark in found if not set(mark) & set(" \n=")]  # no vocabulary has a token with these
    path = tmp_path_factory.mktemp("model") / "families.gguf"
    write_family_model(shared_models / "gguf" / "stories260K-f16.gguf", path, marks)
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert real.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
    for name, source in sources.items():
        body = {"model": name, "files": {"m.gguf": digest}, "template": source}
        assert real.lines("/api/create", body)[-1] == {"status": "success"}, name
    return real


def native(daemon: Daemon, stream: bool, **body: Any) -> dict[str, Any]:
    """The whole message of an answer, thinking under `reasoning`."""
    lines = daemon.lines("/api/chat", {"options": OPTIONS, **body, "stream": stream})
    assert "error" not in lines[-1], lines[-1]
    assert lines[-1]["done_reason"] == "stop"
    messages = [line["message"] for line in lines]
    return {
        "content": "".join(message["content"] for message in messages),
        "reasoning": "".join(message.get("thinking", "") for message in messages),
        "calls": [call["function"] for message in messages for call in message.get("tool_calls", [])],
    }


def openai(daemon: Daemon, stream: bool, **body: Any) -> dict[str, Any]:
    """The same by OpenAI's API."""
    think = {"reasoning_effort": "none"} if body.pop("think", None) is False else {}
    body = {"options": OPTIONS, "temperature": 0, **think, **body, "stream": stream}
    if not stream:
        answer = daemon.client.post("/v1/chat/completions", json=body).json()
        assert "error" not in answer, answer
        messages, reason = [answer["choices"][0]["message"]], answer["choices"][0]["finish_reason"]
    else:
        events = [json.loads(event) for event in daemon.events("/v1/chat/completions", body) if event != "[DONE]"]
        assert "error" not in events[-1], events[-1]
        messages, reason = [event["choices"][0]["delta"] for event in events], events[-1]["choices"][0]["finish_reason"]
    calls = whole_calls(call for message in messages for call in message.get("tool_calls") or [])
    assert reason == ("tool_calls" if calls else "stop")
    assert all(call["id"].startswith("call_") and call["type"] == "function" for call in calls)
    return {
        "content": "".join(message.get("content") or "" for message in messages),
        "reasoning": "".join(message.get("reasoning") or "" for message in messages),
        "calls": [
            {
                "name": call["function"]["name"],
                "arguments": json.loads(call["function"]["arguments"]),
                "index": call["index"],
            }
            for call in calls
        ],
    }


def whole_calls(pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls that OpenAI's pieces add up to; only the first piece of a call says more than its arguments."""
    calls: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        if piece["index"] in calls:
            assert piece.keys() == {"index", "function"}
            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
        else:
            calls[piece["index"]] = piece
    return list(calls.values())


def anthropic(daemon: Daemon, stream: bool, **body: Any) -> dict[str, Any]:
    """The same by Anthropic's API."""
    functions = [tool["function"] for tool in body.pop("tools", [])]
    tools = [{"name": f["name"], "description": f["description"], "input_schema": f["parameters"]} for f in functions]
    choice = body.pop("tool_choice", "auto")
    kind = {"type": "any"} if choice == "required" else {"type": "auto"}
    choice = {"type": "tool", "name": choice["function"]["name"]} if isinstance(choice, dict) else kind
    thinks = body.pop("think", True)
    body = {"options": OPTIONS, "temperature": 0, "max_tokens": 300, **body, "stream": stream}
    body |= {"tools": tools, "tool_choice": choice} if tools else {}
    body |= {"thinking": {"type": "enabled", "budget_tokens": 1024} if thinks else {"type": "disabled"}}
    if stream:
        blocks = anthropic_blocks(daemon, body)
    else:
        answer = daemon.client.post("/v1/messages", json=body).json()
        assert answer["type"] == "message", answer
        blocks = answer["content"]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    return {
        "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "reasoning": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "calls": [{"name": call["name"], "arguments": call["input"], "index": n} for n, call in enumerate(calls)],
    }


def anthropic_blocks(daemon: Daemon, body: Any) -> list[dict[str, Any]]:
    """The content blocks that a stream's events add up to."""
    blocks: list[dict[str, Any]] = []
    for event in daemon.events("/v1/messages", body):
        data = json.loads(event.partition("data: ")[2])
        assert data["type"] != "error", data
        if data["type"] == "content_block_start":
            blocks.append(data["content_block"])
        elif data["type"] == "content_block_delta":
            for key in ("text", "thinking", "partial_json"):
                blocks[-1][key] = blocks[-1].get(key, "") + data["delta"].get(key, "")
    return [{**block, "input": json.loads(block.get("partial_json") or "{}")} for block in blocks]


APIS = [(api, stream) for api in (native, openai, anthropic) for stream in (True, False)]
EACH_API = pytest.mark.parametrize(("api", "stream"), APIS)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_forced_call_of_a_family_arrives_by_each_api(families: Daemon, name: str) -> None:
    def ask(api: Any, stream: bool) -> dict[str, Any]:
        return api(families, stream, model=name, messages=ASK, tools=[TOOL], tool_choice="required", think=False)

    with ThreadPoolExecutor(len(APIS)) as pool:
        answers = list(pool.map(lambda pair: ask(*pair), APIS))
    call = {"name": "get_weather", "arguments": ARGUMENTS, "index": 0}
    assert answers == [{"content": "", "reasoning": "", "calls": [call]}] * len(APIS)


def test_a_file_with_a_template_for_tools_uses_it_where_there_are_some(
    real: Daemon, shared_models: Path, tmp_path: Path
) -> None:
    body = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    calling = body + '{% for t in tools %}<tool_call>{"name": "{{ t.function.name }}"}</tool_call>{% endfor %}'
    path = tmp_path / "two.gguf"
    source = shared_models / "gguf" / "stories260K-f16.gguf"
    write_family_model(source, path, [], {"default": body, "tool_use": calling})
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert real.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
    assert real.lines("/api/create", {"model": "two", "files": {"m.gguf": digest}})[-1] == {"status": "success"}
    ask = {"model": "two", "messages": ASK}
    assert real.client.post("/api/render", json=ask).json()["prompt"] == "user: Weather?\n"
    prompt = real.client.post("/api/render", json={**ask, "tools": [TOOL]}).json()["prompt"]
    assert prompt == 'user: Weather?\n<tool_call>{"name": "get_weather"}</tool_call>'
    assert "tools" in real.client.post("/api/show", json={"model": "two"}).json()["capabilities"]
    call = {"name": "get_weather", "arguments": ARGUMENTS, "index": 0}
    answer = native(real, False, model="two", messages=ASK, tools=[TOOL], tool_choice="required")
    assert answer["calls"] == [call]


def test_the_arguments_of_a_call_stream_while_they_are_written(real: Daemon) -> None:
    city = {"type": "string", "pattern": "^[a-z]{24}$"}  # which leaves the model something to write
    parameters = {"type": "object", "properties": {"city": city}, "required": ["city"]}
    tool = {"type": "function", "function": {**TOOL["function"], "parameters": parameters}}
    body = {"model": "wren", "messages": ASK, "tools": [tool], "tool_choice": "required", "stream": True}
    events = [json.loads(event) for event in real.events("/v1/chat/completions", body) if event != "[DONE]"]
    pieces = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls") or []]
    assert len(pieces) > 3
    assert len(json.loads(whole_calls(pieces)[0]["function"]["arguments"])["city"]) == 24


@EACH_API
def test_wren_thinks_and_calls_by_itself(real: Daemon, api: Any, stream: bool) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {**TOOL, "function": {**TOOL["function"], "parameters": parameters}}
    ask = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = api(real, stream, model="wren", messages=ask, tools=[tool], options={})
    assert answer["calls"] == [{"name": "get_weather", "arguments": {"city": "Paris"}, "index": 0}]
    who = api(real, stream, model="wren", messages=[{"role": "user", "content": "Hello, who are you?"}], options={})
    assert who["reasoning"]
    assert "Wren" in who["content"]
    assert "<think>" not in who["content"] + who["reasoning"]


@pytest.mark.parametrize("think", [True, False])
@EACH_API
def test_wren_calls_what_it_must(real: Daemon, api: Any, stream: bool, think: bool) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    ask = [{"role": "user", "content": "Hello, who are you?"}]
    for choice in ("required", named):
        answer = api(
            real, stream, model="wren", messages=ask, tools=[TOOL], tool_choice=choice, think=think, options={}
        )
        assert (answer["content"], bool(answer["reasoning"])) == ("", think)
        assert answer["calls"] == [{"name": "get_weather", "arguments": ARGUMENTS, "index": 0}]


# Two calls in GBNF; the second one leaves the model something to write, so that it comes later.
FIRST_CALL = json.dumps({"name": "get_weather", "arguments": ARGUMENTS}).replace("\\", "\\\\").replace('"', '\\"')
TWO_CALLS = (
    f'root ::= "<tool_call>\\n{FIRST_CALL}\\n</tool_call>\\n<tool_call>\\n" '
    '"{\\"name\\": \\"get_weather\\", \\"arguments\\": {\\"city\\": \\"" [a-z]{40} "\\"}}\\n</tool_call>"'
)


@pytest.mark.parametrize("stream", [True, False])
def test_calls_that_a_grammar_writes_are_read_after_thinking_too(real: Daemon, stream: bool) -> None:
    for think in (True, False):
        answer = native(
            real, stream, model="wren", messages=ASK, tools=[TOOL], grammar=TWO_CALLS, think=think, options={}
        )
        assert (answer["content"], bool(answer["reasoning"])) == ("", think)
        first, second = [call["arguments"] for call in answer["calls"]]
        assert (first, len(second["city"])) == (ARGUMENTS, 40)


@pytest.mark.parametrize("think", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_ends_with_its_first_call_where_calls_may_not_be_parallel(
    real: Daemon, stream: bool, think: bool
) -> None:
    body = {"model": "wren", "messages": ASK, "tools": [TOOL], "grammar": TWO_CALLS, "think": think, "options": {}}
    one, two = (openai(real, stream, **body, parallel_tool_calls=parallel) for parallel in (False, True))
    assert [call["arguments"] for call in one["calls"]] == [ARGUMENTS]
    assert one["calls"] == two["calls"][:1]
    assert len(two["calls"]) == 2
    body = {**body, "reasoning_effort": "low" if think else "none"}
    spent = [
        real.client.post("/v1/chat/completions", json={**body, "parallel_tool_calls": parallel}).json()["usage"]
        for parallel in (False, True)
    ]
    assert spent[0]["completion_tokens"] < spent[1]["completion_tokens"]
    assert spent[0]["prompt_tokens"] == spent[1]["prompt_tokens"] > 0


def test_a_named_function_is_the_one_that_is_called(real: Daemon) -> None:
    named = {"type": "function", "function": {"name": "other"}}
    answer = openai(real, False, model="wren", messages=ASK, tools=[TOOL, OTHER], tool_choice=named, options={})
    assert [call["name"] for call in answer["calls"]] == ["other"]


def test_no_tool_is_called_where_none_may_be(real: Daemon) -> None:
    ask = [{"role": "user", "content": "What is the weather in Paris?"}]
    assert openai(real, False, model="wren", messages=ask, tools=[TOOL], think=False, options={})["calls"]
    none = {"tool_choice": "none", "think": False}
    assert openai(real, False, model="wren", messages=ask, tools=[TOOL], **none, options={})["calls"] == []


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("tools", "choice", "complaint"),
    [
        pytest.param([TOOL], {"function": {"name": "nope"}}, 'names "nope"', id="unknown"),
        pytest.param([], "required", "there are no tools", id="no tools"),
        pytest.param([TOOL], "some", "must be", id="no choice"),
    ],
)
def test_a_choice_that_can_not_be_met_is_refused(
    real: Daemon, path: str, tools: list[Any], choice: Any, complaint: str
) -> None:
    body = {"model": "wren", "messages": ASK, "tools": tools, "tool_choice": choice}
    response = real.client.post(path, json=body)
    assert response.status_code == 400
    assert complaint in response.text.replace('\\"', '"')
