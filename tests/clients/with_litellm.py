"""LiteLLM talks with a daemon, whose URL is the argument, through both of its Ollama providers."""

import asyncio
import json
import sys

import litellm
from watch import LONG, refusal, wait_until_idle

WHO = [{"role": "user", "content": "Hello, who are you?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
COLOR = {"type": "object", "properties": {"color": {"enum": ["red"]}}, "required": ["color"]}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def talk(url: str) -> None:
    for model in ("ollama_chat/wren", "ollama/wren"):
        answer = litellm.completion(model, WHO, api_base=url)
        assert "Wren" in answer.choices[0].message.content, answer
        assert answer.usage.completion_tokens > 0
        parts = litellm.completion(model, WHO, api_base=url, stream=True)
        assert "Wren" in "".join(part.choices[0].delta.content or "" for part in parts), model


def look(url: str) -> None:
    info = litellm.get_model_info("ollama/wren", api_base=url)
    assert info["supports_function_calling"]
    assert info["max_tokens"] == 1280


def use_a_tool(url: str) -> None:
    common = {"model": "ollama_chat/wren", "api_base": url, "tools": [TOOL], "think": False}
    first = litellm.completion(messages=WEATHER, **common).choices[0]
    (call,) = first.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    result = {"role": "tool", "tool_call_id": call.id, "name": "get_weather", "content": "sunny, 21 degrees"}
    turns = [*WEATHER, first.message.model_dump(exclude_none=True), result]
    second = litellm.completion(messages=turns, **common)
    assert "sunny" in second.choices[0].message.content, second


def hold_to_a_schema(url: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "color", "schema": COLOR}}
    answer = litellm.completion("ollama_chat/wren", WHO, api_base=url, response_format=wanted)
    assert json.loads(answer.choices[0].message.content)["color"] == "red"


def embed(url: str) -> None:
    answer = litellm.embedding("ollama/glove", ["a cat", "a dog"], api_base=url)
    assert [len(entry["embedding"]) for entry in answer.data] == [64, 64]


def fail(url: str) -> None:
    raised = refusal(litellm.NotFoundError, lambda: litellm.completion("ollama_chat/nope", WHO, api_base=url))
    assert "model 'nope' not found" in str(raised), raised
    hot = {"api_base": url, "temperature": 10_000}
    raised = refusal(litellm.BadRequestError, lambda: litellm.completion("ollama_chat/wren", WHO, **hot))
    assert "temperature" in str(raised), raised


async def abort(url: str) -> None:
    endless = {"format": LONG, "think": False, "num_predict": -1}
    stream = await litellm.acompletion("ollama_chat/wren", WHO, api_base=url, stream=True, **endless)
    await anext(stream)
    await stream.aclose()
    await asyncio.to_thread(wait_until_idle, url)


for flow in (look, talk, use_a_tool, hold_to_a_schema, embed, fail):
    flow(sys.argv[1])
asyncio.run(abort(sys.argv[1]))
