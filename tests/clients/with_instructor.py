"""instructor gets records out of a daemon, whose URL is the argument, in each of its ways."""

import sys
from typing import Literal

import instructor
import openai
import pydantic
from watch import refusal

WHO = [{"role": "user", "content": "Hello, who are you?"}]


class Answer(pydantic.BaseModel):
    """What is wanted."""

    color: Literal["red"]


def open_client(url: str, mode: instructor.Mode = instructor.Mode.JSON_SCHEMA) -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(base_url=f"{url}/v1", api_key="ollama"), mode=mode)


def extract(url: str, mode: instructor.Mode) -> None:
    ask = {"messages": WHO, "response_model": Answer, "max_retries": 0}
    answer = open_client(url, mode).chat.completions.create(model="wren", **ask)
    assert answer.color == "red"


def extract_by_name(url: str) -> None:
    client = instructor.from_provider("ollama/wren", base_url=f"{url}/v1", mode=instructor.Mode.JSON_SCHEMA)
    assert client.create(messages=WHO, response_model=Answer, max_retries=0).color == "red"


def stream(url: str) -> None:
    client = open_client(url)
    parts = list(client.chat.completions.create_partial(model="wren", messages=WHO, response_model=Answer))
    assert parts[-1].color == "red"


def fail(url: str) -> None:
    ask = {"messages": WHO, "response_model": Answer, "max_retries": 0}
    raised = refusal(Exception, lambda: open_client(url).chat.completions.create(model="nope", **ask))
    assert "model 'nope' not found" in str(raised), raised


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    extract(sys.argv[1], mode)
for flow in (extract_by_name, stream, fail):
    flow(sys.argv[1])
