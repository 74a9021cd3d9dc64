"""pydantic-ai runs agents on a daemon, whose URL is the argument, over OpenAI's API."""

import asyncio
import sys
from typing import Literal

import pydantic
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.ollama import OllamaProvider
from watch import LONG, refusal, wait_until_idle

WHO = "Hello, who are you?"


class Answer(pydantic.BaseModel):
    """What is wanted."""

    color: Literal["red"]


def open_model(url: str, name: str = "wren") -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=OllamaProvider(base_url=f"{url}/v1"))


async def talk(url: str) -> None:
    agent = Agent(open_model(url))
    first = await agent.run(WHO)
    assert "Wren" in first.output
    assert first.usage.output_tokens > 0
    assert (await agent.run("Thank you", message_history=first.all_messages())).output
    async with agent.run_stream(WHO) as stream:
        assert "Wren" in [text async for text in stream.stream_text()][-1]
    responses = Agent(OpenAIResponsesModel("wren", provider=OllamaProvider(base_url=f"{url}/v1")))
    assert "Wren" in (await responses.run(WHO)).output


async def use_a_tool(url: str) -> None:
    agent = Agent(open_model(url))

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Get the weather of a city"""
        return f"sunny in {city}, 21 degrees"

    assert "sunny" in (await agent.run("What is the weather in Paris?")).output


async def hold_to_a_schema(url: str) -> None:
    for kind in (NativeOutput, ToolOutput):
        agent = Agent(open_model(url), output_type=kind(Answer), retries=0)
        assert (await agent.run(WHO)).output == Answer(color="red")


def fail(url: str) -> None:
    missing, hot = Agent(open_model(url, "nope")), Agent(open_model(url), model_settings={"top_p": 7})
    assert refusal(ModelHTTPError, lambda: missing.run_sync(WHO)).status_code == 404
    assert refusal(ModelHTTPError, lambda: hot.run_sync(WHO)).status_code == 400


async def abort(url: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "long", "schema": LONG}}
    endless = {"extra_body": {"num_predict": -1, "response_format": schema}}
    async with Agent(open_model(url)).run_stream(WHO, model_settings=endless) as stream:
        async for _text in stream.stream_text():
            break
    await asyncio.to_thread(wait_until_idle, url)


async def main(url: str) -> None:
    for flow in (talk, use_a_tool, hold_to_a_schema, abort):
        await flow(url)


asyncio.run(main(sys.argv[1]))
fail(sys.argv[1])
