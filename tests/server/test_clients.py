"""The packages of OpenAI and Anthropic as clients of a daemon over real models."""

import json
from typing import Literal

import anthropic
import httpx
import openai
import pydantic
import pytest

from tests.server.conftest import running

pytestmark = pytest.mark.model
WHO = [{"role": "user", "content": "Hello, who are you?"}]
WEATHER = "What is the weather in Paris?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Get the weather of a city", "parameters": SCHEMA}
TOOL = {"name": "get_weather", "description": "Get the weather of a city", "input_schema": SCHEMA}


class Color(pydantic.BaseModel):
    """An answer that a grammar can hold any model to."""

    model_config = pydantic.ConfigDict(extra="forbid")
    color: Literal["red", "blue"]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A daemon over real workers."""
    with running(tmp_path_factory.mktemp("clients")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def oai(real):
    """OpenAI's client."""
    http = httpx.Client(trust_env=False, timeout=60)
    with openai.OpenAI(base_url=f"{real.url}/v1", api_key="any", http_client=http, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(real):
    """Anthropic's client."""
    http = anthropic.DefaultHttpxClient(trust_env=False, timeout=60)
    with anthropic.Anthropic(base_url=real.url, api_key="any", http_client=http, max_retries=0) as client:
        yield client


def wait_until_idle(real):
    while any(model.get("active_requests") for model in real.client.get("/api/ps").json()["models"]):
        pass


# ---- Anthropic


def test_anthropic_a_message_thinks_and_answers(claude):
    message = claude.messages.create(model="wren", max_tokens=200, messages=WHO)
    thinking, text = message.content
    assert (thinking.type, text.type, message.stop_reason) == ("thinking", "text", "end_turn")
    assert thinking.thinking
    assert "Wren" in text.text
    assert message._request_id.startswith("req_")
    counted = claude.messages.count_tokens(model="wren", messages=WHO)
    assert counted.input_tokens == message.usage.input_tokens > 0


def test_anthropic_a_stream_makes_the_same_message(claude):
    ask = {"model": "wren", "max_tokens": 200, "messages": WHO, "thinking": {"type": "disabled"}}
    with claude.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "Wren" in text
    assert [block.text for block in final.content] == [text]
    whole = claude.messages.create(**ask)
    assert (whole.content[0].text, whole.usage, whole.stop_reason) == (text, final.usage, final.stop_reason)


def test_anthropic_a_tool_makes_its_round(claude):
    ask = [{"role": "user", "content": WEATHER}]
    common = {"model": "wren", "max_tokens": 300, "tools": [TOOL], "thinking": {"type": "disabled"}}
    with claude.messages.stream(**common, messages=ask) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    use = first.content[-1]
    assert (use.type, use.name, use.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny, 21 degrees"}
    turns = [*ask, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = claude.messages.create(**common, messages=turns)
    assert second.stop_reason == "end_turn"
    assert "sunny" in second.content[-1].text


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_anthropic_a_call_can_be_demanded(claude, choice):
    message = claude.messages.create(model="wren", max_tokens=300, messages=WHO, tools=[TOOL], tool_choice=choice)
    assert message.stop_reason == "tool_use"
    assert message.content[-1].name == "get_weather"
    assert isinstance(message.content[-1].input["city"], str)


def test_anthropic_a_stop_sequence_is_told(claude):
    ask = {"model": "wren", "max_tokens": 200, "messages": WHO, "thinking": {"type": "disabled"}}
    message = claude.messages.create(**ask, stop_sequences=["Wren"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "Wren")
    assert claude.messages.create(**{**ask, "max_tokens": 2}).stop_reason == "max_tokens"


def test_anthropic_a_schema_holds_the_answer(claude):
    parsed = claude.messages.parse(
        model="wren", max_tokens=100, messages=WHO, output_format=Color, thinking={"type": "disabled"}
    )
    assert isinstance(parsed.parsed_output, Color)


def test_anthropic_models_are_listed_and_found(claude):
    assert "wren:latest" in [model.id for model in claude.models.list()]
    model = claude.models.retrieve("wren")
    assert (model.id, model.display_name, model.type) == ("wren", "wren:latest", "model")
    assert model.created_at.year > 2000


def test_anthropic_errors_have_their_classes(claude):
    with pytest.raises(anthropic.NotFoundError, match="not found"):
        claude.messages.create(model="nope", max_tokens=5, messages=WHO)
    with pytest.raises(anthropic.BadRequestError, match="top_p"):
        claude.messages.create(model="wren", max_tokens=5, messages=WHO, extra_body={"top_p": 7})


def test_anthropic_an_abort_ends_the_work(claude, real):
    ask = [{"role": "user", "content": "Tell me a long story."}]
    with claude.messages.stream(model="wren", max_tokens=4000, messages=ask) as stream:
        next(iter(stream))
    wait_until_idle(real)
    assert claude.messages.create(model="wren", max_tokens=5, messages=WHO).content


# ---- OpenAI: chat


def test_openai_several_answers_share_a_prompt(oai):
    ask = {"model": "wren", "messages": WHO, "n": 3, "seed": 7, "temperature": 1, "reasoning_effort": "none"}
    first, second = (oai.chat.completions.create(**ask) for _ in range(2))
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices]
    alone = [oai.chat.completions.create(**{**ask, "n": 1, "seed": seed}) for seed in (7, 8, 9)]
    assert texts == [answer.choices[0].message.content for answer in alone]
    assert first.usage.prompt_tokens == alone[0].usage.prompt_tokens
    assert first.usage.completion_tokens == sum(answer.usage.completion_tokens for answer in alone)


def test_openai_several_answers_stream_side_by_side(oai):
    usage = {"include_usage": True}
    with oai.chat.completions.create(model="wren", messages=WHO, n=2, stream=True, stream_options=usage) as events:
        chunks = list(events)
    texts = ["", ""]
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        texts[choice.index] += choice.delta.content or ""
    assert all("Wren" in text for text in texts)
    assert chunks[-1].usage.completion_tokens > 0


def test_openai_thinking_has_both_names(oai):
    message = oai.chat.completions.create(model="wren", messages=WHO).choices[0].message
    assert message.reasoning == message.reasoning_content != ""


def test_openai_a_bias_forbids_a_token(oai, real):
    ask = {"model": "wren", "messages": WHO, "temperature": 0, "reasoning_effort": "none"}
    plain = oai.chat.completions.create(**ask, logprobs=True).choices[0]
    first = plain.logprobs.content[0].token
    tokens = real.client.post("/api/tokenize", json={"model": "wren", "content": first}).json()["tokens"]
    biased = oai.chat.completions.create(**ask, logit_bias={str(tokens[-1]): -100}, logprobs=True).choices[0]
    assert first not in [entry.token for entry in biased.logprobs.content]


def test_openai_a_bias_of_a_token_that_is_not_there_is_refused(oai):
    with pytest.raises(openai.BadRequestError, match="the vocabulary has"):
        oai.chat.completions.create(model="wren", messages=WHO, logit_bias={"99999999": 1})


def test_openai_a_chat_is_parsed_into_a_class(oai):
    answer = oai.chat.completions.parse(model="wren", messages=WHO, response_format=Color)
    assert isinstance(answer.choices[0].message.parsed, Color)


def test_openai_a_tool_makes_its_round_over_a_stream(oai):
    ask = {"model": "wren", "tools": [{"type": "function", "function": FUNCTION}], "reasoning_effort": "none"}
    turns = [{"role": "user", "content": WEATHER}]
    with oai.chat.completions.stream(**ask, messages=turns) as events:
        first = events.get_final_completion().choices[0]
    (call,) = first.message.tool_calls
    assert (first.finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    turns += [first.message.to_dict(), result]
    assert "sunny" in oai.chat.completions.create(**ask, messages=turns).choices[0].message.content


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_openai_a_call_can_be_demanded(oai, choice):
    tools = [{"type": "function", "function": FUNCTION}]
    answer = oai.chat.completions.create(model="wren", messages=WHO, tools=tools, tool_choice=choice)
    (call,) = answer.choices[0].message.tool_calls
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_openai_a_runner_option_stands_beside_the_others(oai):
    with pytest.raises(openai.BadRequestError, match="context length") as raised:
        oai.completions.create(model="wren", prompt="a b c d " * 40, extra_body={"num_ctx": 32})
    assert raised.value.code == "context_length_exceeded"


def test_openai_errors_carry_the_request_id(oai):
    with pytest.raises(openai.NotFoundError) as raised:
        oai.responses.create(model="nope", input="hi")
    assert raised.value.request_id.startswith("req_")


# ---- OpenAI: completions


def test_openai_a_completion_goes_on_without_a_template(oai):
    ask = {"model": "wren", "prompt": "The capital of France", "max_tokens": 6, "temperature": 0}
    plain = oai.completions.create(**ask)
    (choice,) = plain.choices
    assert (plain.object, choice.finish_reason, plain.usage.completion_tokens) == ("text_completion", "length", 6)
    echoed = oai.completions.create(**ask, echo=True).choices[0].text
    assert echoed == ask["prompt"] + choice.text
    with oai.completions.create(**ask, stream=True, stream_options={"include_usage": True}) as events:
        chunks = list(events)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == choice.text
    assert chunks[-1].usage.total_tokens == plain.usage.total_tokens


def test_openai_prompts_may_be_several_and_tokens(oai, real):
    text = "The capital of France"
    tokens = real.client.post("/api/tokenize", json={"model": "wren", "content": text}).json()["tokens"]
    ask = {"model": "wren", "max_tokens": 4, "temperature": 0, "echo": True}
    both = oai.completions.create(**ask, prompt=[text, "One, two"], n=2)
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert [choice.text.startswith(text) for choice in both.choices] == [True, True, False, False]
    assert oai.completions.create(**ask, prompt=tokens).choices[0].text.startswith(text)
    assert len(oai.completions.create(**ask, prompt=[tokens, tokens]).choices) == 2


def test_openai_a_completion_has_logprobs(oai):
    answer = oai.completions.create(model="wren", prompt="One, two", max_tokens=3, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens).startswith(answer.choices[0].text)
    assert len(logprobs.token_logprobs) == len(logprobs.text_offset) == len(logprobs.top_logprobs) == 3
    assert all(len(top) == 2 for top in logprobs.top_logprobs)


def test_openai_an_echo_is_as_likely_as_it_was_as_an_answer(oai):
    ask = {"model": "wren", "temperature": 0, "logprobs": 1}
    # No other prompt begins so: a step of 64 rows and more, which rounds otherwise, has computed no part of it.
    prompt = "Yes, the capital of France"
    answer = oai.completions.create(**ask, prompt=prompt, max_tokens=5).choices[0]
    text = prompt + answer.text
    echoed = oai.completions.create(**ask, prompt=text, max_tokens=0, echo=True)
    (choice,) = echoed.choices
    numbers = choice.logprobs.token_logprobs
    assert (choice.text, choice.finish_reason, echoed.usage.completion_tokens) == (text, "length", 0)
    assert (numbers[0], choice.logprobs.top_logprobs[0]) == (None, None)
    assert len(numbers) == echoed.usage.prompt_tokens
    assert numbers[-5:] == pytest.approx(answer.logprobs.token_logprobs, abs=0.05)
    places = zip(choice.logprobs.text_offset, choice.logprobs.tokens, strict=True)
    assert all(text[at:].startswith(part) for at, part in places)
    with oai.completions.create(**ask, prompt=text, max_tokens=2, echo=True, stream=True) as events:
        chunks = [event.choices[0].logprobs for event in events]
    tokens = [token for logprobs in chunks if logprobs for token in logprobs.tokens]
    assert len(tokens) == len(numbers) + 2


def test_openai_an_abort_ends_all_answers(oai, real):
    with oai.completions.create(model="wren", prompt="Once", n=3, max_tokens=4000, stream=True) as events:
        next(iter(events))
    wait_until_idle(real)


# ---- OpenAI: responses


def test_openai_a_response_thinks_and_answers(oai):
    response = oai.responses.create(model="wren", input="Hello, who are you?", instructions="Be brief.")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].summary[0].text
    assert "Wren" in response.output_text
    assert (response.status, response.instructions) == ("completed", "Be brief.")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    counted = oai.responses.input_tokens.count(model="wren", input="Hello, who are you?", instructions="Be brief.")
    assert counted.input_tokens == response.usage.input_tokens


def test_openai_a_conversation_goes_on(oai):
    first = oai.responses.create(model="wren", input="My name is Ada.")
    second = oai.responses.create(model="wren", input="What is my name?", previous_response_id=first.id)
    assert "Ada" in second.output_text
    assert oai.responses.retrieve(second.id).output_text == second.output_text
    oai.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        oai.responses.create(model="wren", input="x", previous_response_id=first.id)
    unkept = oai.responses.create(model="wren", input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(unkept.id)


def test_openai_a_function_makes_its_round_over_a_stream(oai):
    tools = [{"type": "function", **FUNCTION, "strict": False}]
    ask = {"model": "wren", "tools": tools, "temperature": 0, "reasoning": {"effort": "none"}}
    with oai.responses.stream(**ask, input=WEATHER) as stream:
        events = list(stream)
        first = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"}
    after = oai.responses.create(**ask, input=[result], previous_response_id=first.id)
    assert "sunny" in after.output_text
    items = [{"role": "user", "content": WEATHER}, *(item.model_dump() for item in first.output), result]
    assert oai.responses.create(**ask, input=items).output_text == after.output_text
    items[1:-1] = [{"type": "item_reference", "id": item.id} for item in first.output]
    assert oai.responses.create(**ask, input=items).output_text == after.output_text


def test_openai_a_response_is_parsed_into_a_class(oai):
    response = oai.responses.parse(model="wren", input="hello", text_format=Color)
    assert isinstance(response.output_parsed, Color)


def test_openai_a_response_that_was_cut_says_so(oai):
    response = oai.responses.create(model="wren", input="hello", max_output_tokens=2)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
