import pytest

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai_requests import DEFAULTS, chat_completion_request
from ollamapy.errors import InvalidInputError, OptionError
from ollamapy.types import Message, Options, ToolCall

HI = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]


def read(**fields):
    return chat_completion_request(Fields({"model": "m", "messages": HI, **fields}))


def test_a_minimal_request_is_not_streamed_and_lets_the_model_choose_first():
    request = read()
    assert request.chat.messages == (Message("user", "hi"),)
    assert (request.chat.stream, request.include_usage) == (False, False)
    assert request.chat.options == Options()
    assert request.chat.fallback == DEFAULTS


def test_parameters_become_options():
    chat = read(max_tokens=5, temperature=0, top_p=0.5, seed=1, stop="x", frequency_penalty=1, presence_penalty=2).chat
    assert chat.options == Options(
        num_predict=5,
        temperature=0.0,
        top_p=0.5,
        seed=1,
        stop=("x",),
        frequency_penalty=1.0,
        presence_penalty=2.0,
    )
    assert read(stop=["a", "b"]).chat.options.stop == ("a", "b")


def test_max_completion_tokens_counts_before_max_tokens():
    assert read(max_tokens=5, max_completion_tokens=7).chat.options.num_predict == 7


def test_names_in_any_case_are_those_of_tools():
    named = {"function": {"name": "f"}}
    assert read(tools=[{"Function": {"NAME": "f"}}], tool_choice=named).chat.tools == (named,)


def test_several_answers_and_a_bias_of_tokens_can_be_asked_for():
    request = read(n=3, logit_bias={"50": -100, "7": 2.5})
    assert (request.n, request.chat.logit_bias) == (3, {50: -100.0, 7: 2.5})
    assert (read().n, read(logit_bias={}).chat.logit_bias) == (1, None)


def test_runner_options_may_stand_beside_openais():
    options = read(num_ctx=64, use_mmap=False, repeat_last_n=3, options={"num_ctx": 32, "num_thread": 2}).chat.options
    assert (options.num_ctx, options.use_mmap, options.repeat_last_n, options.num_thread) == (64, False, 3, 2)


def test_ollamas_options_lie_beneath_openais():
    options = read(options={"num_ctx": 64, "top_k": 3, "temperature": 1}, temperature=0.5, top_k=2).chat.options
    assert (options.num_ctx, options.top_k, options.temperature) == (64, 2, 0.5)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"model": ""}, "model is required", id="model"),
        pytest.param({"messages": []}, r"\[\] is too short - 'messages'", id="messages"),
        pytest.param({"n": 0}, '"n" must be', id="n"),
        pytest.param({"logit_bias": {"x": 1}}, '"x" is no id', id="a biased word"),
        pytest.param({"logit_bias": {"5": 101}}, '"logit_bias.5" must be', id="a huge bias"),
        pytest.param({"logit_bias": {"5": True}}, '"logit_bias.5" must be', id="a bias of truth"),
        pytest.param({"logit_bias": {str(i): 1 for i in range(1025)}}, "at most 1024", id="many biases"),
        pytest.param({"n": 10**10}, '"n" must be', id="a huge n"),
        pytest.param({"max_tokens": "5"}, '"max_tokens" must be a number', id="max_tokens"),
        pytest.param({"top_logprobs": 10**6}, "top_logprobs", id="top_logprobs"),
        pytest.param({"response_format": {"type": "xml"}}, '"response_format.type" must be', id="format"),
        pytest.param({"response_format": {"type": "json_schema"}}, "json_schema.schema", id="no schema"),
        pytest.param({"reasoning_effort": "huge"}, 'invalid reasoning value: "huge"', id="effort"),
        pytest.param({"tool_choice": "some"}, '"tool_choice" must be', id="tool_choice"),
        pytest.param(
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "h"}}},
            'names "h"',
            id="unknown tool",
        ),
        pytest.param({"messages": [{"role": "user"}]}, "invalid message content type", id="no content"),
        pytest.param({"messages": [{"content": [{"type": "video"}]}]}, "invalid message format", id="part"),
        pytest.param({"stream_options": 3}, '"stream_options" must be an object', id="stream_options"),
    ],
)
def test_a_wrong_request_is_refused(fields, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read(**fields)


def test_an_option_out_of_range_is_named():
    with pytest.raises(OptionError, match="temperature"):
        read(temperature=-1)


def test_parts_of_a_message_stay_one_message():
    url = "data:image/png;base64,aGk="
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "b"},
    ]
    assert read(messages=[{"role": "user", "content": parts}]).chat.messages == (
        Message("user", "a\nb", images=(b"hi",), parts=("a", "b")),
    )


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://169.254.169.254/x.png", "image URLs are not currently supported"),
        ("https://example.com/x.png", "image URLs are not currently supported"),
        ("file:///etc/passwd", "invalid image input"),
        ("data:text/html;base64,aGk=", "invalid image input"),
        ("data:image/png;base64,?", "illegal base64"),
    ],
)
def test_an_image_must_be_in_the_request(url, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])


def test_a_tool_result_finds_the_name_of_its_call():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    chat = read(
        messages=[
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]
    ).chat
    assert chat.messages[0].tool_calls == (ToolCall("f", {"x": 1}, "c1", 0),)
    assert chat.messages[1].tool_name == "f"


@pytest.mark.parametrize("arguments", ["[]", "{", "3", 3])
def test_arguments_must_be_an_object(arguments):
    call = {"function": {"name": "f", "arguments": arguments}}
    with pytest.raises(InvalidInputError, match="invalid tool call arguments"):
        read(messages=[{"role": "assistant", "tool_calls": [call]}])


def test_a_developer_is_the_system():
    assert read(messages=[{"role": "developer", "content": "x"}]).chat.messages[0].role == "system"


def test_reasoning_of_earlier_turns_is_kept():
    message = {"role": "assistant", "content": "x", "reasoning": "hm"}
    assert read(messages=[message]).chat.messages[0].thinking == "hm"


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "max"), ("ultra", "max")],
)
def test_effort_becomes_thinking(effort, think):
    assert read(reasoning_effort=effort).chat.think == think
    assert read(reasoning={"effort": effort}).chat.think == think


def test_the_format_becomes_json_or_a_schema():
    assert read(response_format={"type": "text"}).chat.format is None
    assert read(response_format={"type": "json_object"}).chat.format == "json"
    schema = {"type": "object"}
    assert read(response_format={"type": "json_schema", "json_schema": {"schema": schema}}).chat.format == schema


def test_a_tool_choice_narrows_the_tools():
    assert len(read(tools=TOOLS).chat.tools) == 2
    assert read(tools=TOOLS, tool_choice="none").chat.tools == ()
    chosen = read(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "g"}}).chat.tools
    assert [tool["function"]["name"] for tool in chosen] == ["g"]


def test_a_call_must_come_where_the_tool_choice_demands_one():
    named = {"type": "function", "function": {"name": "g"}}
    assert [read(tools=TOOLS, tool_choice=choice).chat.must_call for choice in ("auto", "none", "required", named)] == [
        False, False, True, True,
    ]  # fmt: skip
    with pytest.raises(InvalidInputError, match="no tools"):
        read(tool_choice="required")
    assert [read(parallel_tool_calls=value).chat.one_call for value in (None, True, False)] == [False, False, True]


def test_arguments_of_the_template_are_handed_on():
    chat = read(chat_template_kwargs={"enable_thinking": False, "custom": 1}).chat
    assert (chat.think, chat.template_arguments) == (False, {"enable_thinking": False, "custom": 1})
    assert read(chat_template_kwargs={"enable_thinking": True}).chat.think is None
    assert read(chat_template_kwargs={"enable_thinking": False}, reasoning_effort="high").chat.think == "high"


def test_usage_is_asked_for_in_stream_options():
    assert read(stream=True, stream_options={"include_usage": True}).include_usage is True
