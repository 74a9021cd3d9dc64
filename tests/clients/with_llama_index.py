"""llama-index-llms-ollama talks with a daemon, whose URL is the argument."""

import sys

import pydantic
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.ollama import Ollama
from ollama import ResponseError
from watch import LONG, refusal, wait_until_idle

WHO = [ChatMessage(role="user", content="Hello, who are you?")]


class City(pydantic.BaseModel):
    """A city."""

    name: str = pydantic.Field(pattern="^Paris$")


def get_weather(city: str) -> str:
    """Get the weather of a city"""
    return f"sunny in {city}, 21 degrees"


def open_model(url: str, model: str = "wren", **settings: object) -> Ollama:
    return Ollama(model=model, base_url=url, request_timeout=60, **settings)


def talk(url: str) -> None:
    model = open_model(url)
    assert model.metadata.context_window == 1280
    answer = model.chat(WHO)
    assert "Wren" in answer.message.content
    assert answer.raw["usage"]["completion_tokens"] > 0
    assert "Wren" in list(model.stream_chat(WHO))[-1].message.content
    assert "Paris" in model.complete("What is the capital of France?").text
    assert "Paris" in list(model.stream_complete("What is the capital of France?"))[-1].text


def use_a_tool(url: str) -> None:
    model, tool = open_model(url, thinking=False), FunctionTool.from_defaults(get_weather)
    asked = model.chat_with_tools([tool], user_msg="What is the weather in Paris?")
    (call,) = model.get_tool_calls_from_response(asked)
    assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})
    turns = [
        ChatMessage(role="user", content="What is the weather in Paris?"),
        asked.message,
        ChatMessage(role="tool", content=get_weather("Paris"), additional_kwargs={"tool_call_id": call.tool_id}),
    ]
    assert "sunny" in model.chat_with_tools([tool], chat_history=turns).message.content


def hold_to_a_schema(url: str) -> None:
    model = open_model(url, thinking=False)
    assert model.as_structured_llm(City).chat(WHO).raw == City(name="Paris")


def fail(url: str) -> None:
    missing, odd = open_model(url, "nope", context_window=512), open_model(url, additional_kwargs={"top_k": -5})
    assert "not found" in refusal(ResponseError, lambda: missing.chat(WHO)).error
    assert "top_k" in refusal(ResponseError, lambda: odd.chat(WHO)).error


def abort(url: str) -> None:
    model = open_model(url, thinking=False, additional_kwargs={"num_predict": -1})
    stream = model.stream_chat(WHO, format=LONG)
    next(stream)
    stream.close()
    wait_until_idle(url)


for flow in (talk, use_a_tool, hold_to_a_schema, fail, abort):
    flow(sys.argv[1])
