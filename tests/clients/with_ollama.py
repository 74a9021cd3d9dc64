"""Ollama's package for Python does all that it can with a daemon, whose URL is the argument."""

import asyncio
import sys

import ollama
from watch import LONG, refusal, wait_until_idle

WHO = [{"role": "user", "content": "Hello, who are you?"}]
COLOR = {"type": "object", "properties": {"color": {"enum": ["red"]}}, "required": ["color"]}


def get_weather(city: str) -> str:
    """Get the weather of a city.

    Args:
      city: the city
    """
    return f"sunny in {city}, 21 degrees"


def manage(client: ollama.Client) -> None:
    assert {"wren:latest", "glove:latest"} <= {model.model for model in client.list().models}
    assert client.show("wren").modelinfo["llama.context_length"] == 1280
    steps = [step.status for step in client.create("mine", from_="wren", system="You are Tom.", stream=True)]
    assert steps[-1] == "success", steps
    assert client.copy("mine", "yours").status == "success"
    assert "You are Tom." in client.show("yours").modelfile
    assert client.delete("mine").status == client.delete("yours").status == "success"
    assert not [model for model in client.list().models if model.model in ("mine:latest", "yours:latest")]


def talk(client: ollama.Client) -> None:
    parts = list(client.chat("wren", WHO, stream=True))
    assert "Wren" in "".join(part.message.content or "" for part in parts)
    assert "".join(part.message.thinking or "" for part in parts)
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    assert "Wren" in client.chat("wren", WHO, think=False).message.content
    assert client.ps().models[0].context_length == 1280
    answer = client.generate("wren", "What is the capital of France?", think=False)
    assert "Paris" in answer.response, answer.response
    assert client.generate("wren", "And of Italy?", context=answer.context, think=False).response
    assert client.generate("wren", keep_alive=0).done_reason == "unload"


def use_a_tool(client: ollama.Client) -> None:
    messages: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    message = client.chat("wren", messages, tools=[get_weather]).message
    (call,) = message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
    messages += [message, {"role": "tool", "tool_name": "get_weather", "content": get_weather("Paris")}]
    assert "sunny" in client.chat("wren", messages, tools=[get_weather]).message.content


def hold_to_a_schema(client: ollama.Client) -> None:
    answer = client.chat("wren", WHO, format=COLOR, think=False).message.content
    assert '"red"' in answer, answer


def embed(client: ollama.Client) -> None:
    vectors = client.embed("glove", ["a cat", "a dog"]).embeddings
    assert [len(vector) for vector in vectors] == [64, 64]
    assert len(client.embeddings("glove", "a cat").embedding) == 64


def fail(client: ollama.Client) -> None:
    hot = {"temperature": "hot"}
    for ask, status, text in (
        (lambda: client.chat("nope", WHO), 404, "model 'nope' not found"),
        (lambda: client.show("nope"), 404, "not found"),
        (lambda: client.chat("wren", WHO, options=hot), 400, "temperature"),
        (lambda: client.embed("wren", "x"), 400, "embed"),
    ):
        raised = refusal(ollama.ResponseError, ask)
        assert raised.status_code == status, raised
        assert text in raised.error, raised


def abort(client: ollama.Client, url: str) -> None:
    stream = client.chat("wren", WHO, format=LONG, think=False, options={"num_predict": -1}, stream=True)
    next(stream)
    stream.close()
    wait_until_idle(url)


async def talk_at_once(url: str) -> None:
    client = ollama.AsyncClient(url)
    answers = await asyncio.gather(*(client.chat("wren", WHO, think=False) for _ in range(4)))
    assert all("Wren" in answer.message.content for answer in answers)
    await client._client.aclose()


def main(url: str) -> None:
    client = ollama.Client(url)
    talk(client)
    manage(client)
    use_a_tool(client)
    hold_to_a_schema(client)
    embed(client)
    fail(client)
    abort(client, url)
    asyncio.run(talk_at_once(url))


main(sys.argv[1])
