import pytest

from ollamapy.dialects.anthropic_requests import count_request, messages_request
from ollamapy.dialects.fields import Fields
from ollamapy.errors import InvalidInputError, OptionError
from ollamapy.types import Message, Options, ToolCall

HI = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in ("f", "g")]
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "Paris"}}


def read(**fields):
    return messages_request(Fields({"model": "m", "max_tokens": 9, "messages": HI, **fields}))


def said(*messages):
    return read(messages=list(messages)).messages


def test_a_minimal_request_sets_only_the_length():
    request = read()
    assert request.messages == (Message("user", "hi"),)
    assert request.options == Options(num_predict=9)
    assert (request.stream, request.think, request.tools, request.must_call) == (False, None, (), False)
    assert request.count_prompt is True


def test_parameters_become_options():
    options = read(temperature=0, top_p=0.5, top_k=3, stop_sequences=["x"], num_ctx=64, options={"min_p": 0.1}).options
    assert options == Options(num_predict=9, temperature=0.0, top_p=0.5, top_k=3, stop=("x",), num_ctx=64, min_p=0.1)


@pytest.mark.parametrize(
    ("system", "message"),
    [
        pytest.param("be brief", Message("system", "be brief"), id="text"),
        pytest.param(
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
            Message("system", "a\nb", parts=("a", "b")),
            id="blocks",
        ),
    ],
)
def test_the_system_prompt_comes_first(system, message):
    assert read(system=system).messages == (message, Message("user", "hi"))


def test_an_empty_system_prompt_is_none():
    assert read(system="").messages == read(system=[]).messages == (Message("user", "hi"),)


def test_a_tool_result_stands_ahead_of_the_text_of_its_turn_and_knows_its_tool():
    messages = said(
        *HI,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, USE]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "thanks"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sunny"}]},
            ],
        },
    )
    call = ToolCall("f", {"city": "Paris"}, "t1", 0)
    assert messages[1] == Message("assistant", thinking="hm", tool_calls=(call,))
    assert messages[2] == Message("tool", "sunny", tool_name="f", tool_call_id="t1")
    assert messages[3] == Message("user", "thanks")


def test_a_turn_of_results_alone_has_no_text():
    result = {"type": "tool_result", "tool_use_id": "x", "content": "1", "is_error": True}
    assert said({"role": "user", "content": [result, {**result, "tool_use_id": "y"}]}) == (
        Message("tool", "1", tool_call_id="x"),
        Message("tool", "1", tool_call_id="y"),
    )


def test_images_are_decoded_wherever_they_stand():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    (message,) = said({"role": "user", "content": [image, {"type": "text", "text": "what?"}]})
    assert (message.images, message.content) == ((b"hi",), "what?")
    (result,) = said({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": [image]}]})
    assert result.images == (b"hi",)


def test_blocks_of_a_provider_that_ran_tools_itself_are_ignored():
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    assert said({"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}) == (
        Message("assistant", "a"),
    )


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True, id="enabled"),
        pytest.param({"thinking": {"type": "disabled"}}, False, id="disabled"),
        pytest.param({"thinking": {"type": "adaptive"}}, None, id="adaptive"),
        pytest.param({"output_config": {"effort": "low"}}, "low", id="effort"),
        pytest.param({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high", id="xhigh"),
        pytest.param({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, False, id="both"),
    ],
)
def test_thinking_and_effort_say_how_much_to_think(fields, think):
    assert read(**fields).think == think


def test_tools_take_openais_form_and_a_choice_may_demand_one():
    first = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    request = read(tools=TOOLS)
    assert (request.tools[0], len(request.tools), request.must_call) == (first, 2, False)
    assert read(tools=TOOLS, tool_choice={"type": "auto"}).one_call is False
    alone = read(tools=TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert (alone.must_call, alone.one_call) == (False, True)
    assert read(tools=TOOLS, tool_choice={"type": "none"}).tools == ()
    assert read(tools=TOOLS, tool_choice={"type": "any"}).must_call is True
    named = read(tools=TOOLS, tool_choice={"type": "tool", "name": "g"})
    assert ([tool["function"]["name"] for tool in named.tools], named.must_call) == (["g"], True)


def test_a_schema_may_hold_the_answer():
    wanted = {"type": "json_schema", "schema": SCHEMA}
    assert read(output_config={"format": wanted}).format == read(output_format=wanted).format == SCHEMA
    with pytest.raises(InvalidInputError, match=r'fields "output_config\.format" and "output_format"'):
        read(output_config={"format": wanted}, output_format=wanted)


def test_counting_needs_no_length():
    request = count_request(Fields({"model": "m", "messages": HI, "system": "s"}))
    assert [message.role for message in request.messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"model": " "}, "model is required", id="model"),
        pytest.param({"max_tokens": None}, "max_tokens is required and must be positive", id="no max_tokens"),
        pytest.param({"max_tokens": 0}, "max_tokens is required and must be positive", id="max_tokens"),
        pytest.param({"messages": []}, "messages is required", id="messages"),
        pytest.param({"messages": [{"role": "tool", "content": "x"}]}, r'"messages\[0\].role" must be', id="role"),
        pytest.param({"messages": [{"role": "user", "content": 1}]}, "must be a string or an array", id="content"),
        pytest.param({"system": [{"type": "image"}]}, r'"system\[0\].type" must be "text"', id="system"),
        pytest.param({"temperature": "x"}, '"temperature" must be a number', id="temperature"),
        pytest.param({"thinking": {"type": "x"}}, '"thinking.type" must be', id="thinking"),
        pytest.param({"output_config": {"effort": "x"}}, '"output_config.effort" must be', id="effort"),
        pytest.param({"output_config": {"format": {"type": "x"}}}, '"output_config.format" must have', id="format"),
        pytest.param({"tool_choice": {"type": "x"}}, '"tool_choice.type" must be', id="choice"),
        pytest.param({"tool_choice": {"type": "any"}}, "there are no tools", id="any without tools"),
        pytest.param({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, "not among", id="unknown tool"),
        pytest.param({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "are not supported", id="server tool"),
        pytest.param({"tools": [{"input_schema": {}}]}, r'"tools\[0\].name" must be a name', id="nameless"),
    ],
)
def test_a_wrong_field_is_named(fields, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read(**fields)


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        pytest.param({"type": "document"}, 'blocks of the type "document"', id="document"),
        pytest.param({**USE, "id": ""}, "needs its id", id="use without id"),
        pytest.param({"type": "image", "source": {"type": "url"}}, "Only base64 images", id="image by url"),
        pytest.param({"type": "image", "source": {"type": "base64", "data": "*"}}, "illegal base64", id="bad image"),
    ],
)
def test_a_wrong_block_is_named(block, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        said({"role": "user", "content": [block]})


def test_an_option_out_of_range_is_named():
    with pytest.raises(OptionError, match="top_p"):
        read(top_p=2)
