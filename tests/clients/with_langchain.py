"""langchain-ollama talks with a daemon, whose URL is the argument."""

import sys

import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama import ResponseError
from watch import LONG, refusal, wait_until_idle

WHO = "Hello, who are you?"


class City(pydantic.BaseModel):
    """A city."""

    name: str = pydantic.Field(pattern="^Paris$")


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city"""
    return f"sunny in {city}, 21 degrees"


def talk(url: str) -> None:
    chat = ChatOllama(model="wren", base_url=url, validate_model_on_init=True)
    answer = chat.invoke(WHO)
    assert "Wren" in answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["done_reason"] == "stop"
    assert "Wren" in "".join(part.content for part in chat.stream(WHO))
    thinking = ChatOllama(model="wren", base_url=url, reasoning=True).invoke(WHO)
    assert thinking.additional_kwargs["reasoning_content"]
    assert "Paris" in OllamaLLM(model="wren", base_url=url).invoke("What is the capital of France?")
    logged = ChatOllama(model="wren", base_url=url, logprobs=True, top_logprobs=2, reasoning=False).invoke(WHO)
    assert logged.response_metadata["logprobs"]


def use_a_tool(url: str) -> None:
    chat = ChatOllama(model="wren", base_url=url).bind_tools([get_weather])
    messages: list = [HumanMessage("What is the weather in Paris?")]
    asked = chat.invoke(messages)
    (call,) = asked.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    messages += [asked, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    assert "sunny" in chat.invoke(messages).content


def hold_to_a_schema(url: str) -> None:
    chat = ChatOllama(model="wren", base_url=url, reasoning=False)
    assert chat.with_structured_output(City).invoke(WHO) == City(name="Paris")


def embed(url: str) -> None:
    vectors = OllamaEmbeddings(model="glove", base_url=url).embed_documents(["a cat", "a dog"])
    assert [len(vector) for vector in vectors] == [64, 64]


def fail(url: str) -> None:
    raised = refusal(ValueError, lambda: ChatOllama(model="nope", base_url=url, validate_model_on_init=True))
    assert "nope" in str(raised)
    missing, hot = ChatOllama(model="nope", base_url=url), ChatOllama(model="wren", base_url=url, top_p=7)
    assert "not found" in refusal(ResponseError, lambda: missing.invoke(WHO)).error
    assert "top_p" in refusal(ResponseError, lambda: hot.invoke(WHO)).error


def abort(url: str) -> None:
    chat = ChatOllama(model="wren", base_url=url, format=LONG, reasoning=False, num_predict=-1)
    stream = chat.stream(WHO)
    next(stream)
    stream.close()
    wait_until_idle(url)


for flow in (talk, use_a_tool, hold_to_a_schema, embed, fail, abort):
    flow(sys.argv[1])
