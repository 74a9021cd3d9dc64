"""llm and its plugin llm-ollama talk with a daemon, whose URL is the argument."""

import json
import os
import sys

os.environ["OLLAMA_HOST"] = sys.argv[1]

import llm
from watch import LONG, refusal, wait_until_idle

COLOR = {"type": "object", "properties": {"color": {"enum": ["red"]}}, "required": ["color"]}


def get_weather(city: str) -> str:
    """Get the weather of a city"""
    return f"sunny in {city}, 21 degrees"


def find() -> None:
    assert "ollama/wren:latest" in {model.model_id for model in llm.get_models()}
    assert "ollama/glove:latest" in {model.model_id for model in llm.get_embedding_models()}


def talk() -> None:
    model = llm.get_model("ollama/wren:latest")
    conversation = model.conversation()
    assert "Wren" in "".join(conversation.prompt("Hello, who are you?"))
    assert conversation.prompt("Thank you", stream=False).text()
    response = model.prompt("What is the capital of France?", stream=False)
    assert "Paris" in response.text()
    assert response.usage().output > 0


def use_a_tool() -> None:
    chain = llm.get_model("ollama/wren:latest").chain("What is the weather in Paris?", tools=[get_weather])
    assert "sunny" in chain.text()


def hold_to_a_schema() -> None:
    response = llm.get_model("ollama/wren:latest").prompt("Hello, who are you?", schema=COLOR, stream=False)
    assert json.loads(response.text())["color"] == "red"


def embed() -> None:
    vectors = list(llm.get_embedding_model("ollama/glove:latest").embed_multi(["a cat", "a dog"]))
    assert [len(vector) for vector in vectors] == [64, 64]


def fail() -> None:
    response = llm.get_model("ollama/wren:latest").prompt("Hello", num_ctx=-5, stream=False)
    assert "num_ctx" in str(refusal(Exception, response.text))


def abort() -> None:
    stream = iter(llm.get_model("ollama/wren:latest").prompt("Hello, who are you?", schema=LONG, num_predict=-1))
    next(stream)
    stream.close()
    wait_until_idle(sys.argv[1])


for flow in (find, talk, use_a_tool, hold_to_a_schema, embed, fail, abort):
    flow()
