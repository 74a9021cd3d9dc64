import pytest

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.responses_requests import response_request
from ollamapy.errors import InvalidInputError
from ollamapy.types import Message, Options, ToolCall

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "name": name, "description": "d", "parameters": SCHEMA, "strict": True} for name in "fg"]
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"city": "Paris"}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}


def read(**fields):
    return response_request(Fields({"model": "m", "input": "hi", **fields}), {"fc_1": CALL}.get)


def messages(*items, history=()):
    return read(input=list(items)).with_history(history).messages


def test_a_minimal_request_is_one_turn_that_is_kept():
    request = read()
    assert request.with_history(()).messages == (Message("user", "hi"),)
    assert (request.is_kept, request.previous_id, request.chat.stream, request.chat.truncate) == (
        True,
        "",
        False,
        False,
    )
    assert (read(store=False).is_kept, read(truncation="auto").chat.truncate) == (False, True)


def test_instructions_stand_ahead_of_history_and_turn():
    history = (Message("user", "a"), Message("assistant", "b"))
    request = read(instructions="be brief", previous_response_id="resp_1")
    assert request.previous_id == "resp_1"
    assert request.with_history(history).messages == (Message("system", "be brief"), *history, Message("user", "hi"))


def test_parameters_become_options():
    assert read(max_output_tokens=5, temperature=0, top_p=0.5, num_ctx=64).chat.options == Options(
        num_predict=5, temperature=0.0, top_p=0.5, num_ctx=64
    )
    assert read(reasoning={"effort": "minimal"}).chat.think == "low"
    chat = read(include=["message.output_text.logprobs"], top_logprobs=2).chat
    assert (chat.logprobs, chat.top_logprobs) == (True, 2)


def test_messages_may_lack_their_type_and_have_parts():
    assert messages(
        {"role": "developer", "content": "s"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "b"}, {"type": "refusal", "refusal": "c"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]},
    ) == (
        Message("system", "s"),
        Message("user", "a"),
        Message("assistant", "b\nc", parts=("b", "c")),
        Message("user", images=(b"hi",)),
    )


def test_a_thought_the_words_and_the_calls_that_follow_it_are_one_turn():
    thought = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = {"role": "assistant", "content": "a"}
    turn, result, last = messages(thought, said, CALL, {**CALL, "call_id": "c2"}, OUTPUT, CALL)
    call = ToolCall("f", {"city": "Paris"}, "c1", 0)
    assert turn == Message("assistant", "a", "hm", tool_calls=(call, ToolCall("f", {"city": "Paris"}, "c2", 1)))
    assert result == Message("tool", "sunny", tool_name="f", tool_call_id="c1")
    assert last == Message("assistant", tool_calls=(call,))


@pytest.mark.parametrize("reference", [{"type": "item_reference", "id": "fc_1"}, {"id": "fc_1"}])
def test_a_reference_stands_for_an_item_of_an_earlier_answer(reference):
    assert messages(reference, OUTPUT) == messages(CALL, OUTPUT)


def test_encrypted_thoughts_are_what_was_sent_under_that_name():
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "deep"}
    assert messages(thought, CALL)[0].thinking == "deep"


def test_an_output_knows_its_function_from_the_history():
    history = (Message("assistant", tool_calls=(ToolCall("f", {}, "c1"),)),)
    assert messages(OUTPUT, history=history)[-1].tool_name == "f"
    parts = {**OUTPUT, "output": [{"type": "input_text", "text": "x"}]}
    assert messages(parts)[0] == Message("tool", "x", tool_call_id="c1")


def test_tools_take_the_form_of_chats_and_those_of_openai_itself_are_left_out():
    space = {"type": "namespace", "name": "ns", "tools": [TOOLS[0]]}
    chat = read(tools=[*TOOLS, space, {"type": "web_search"}]).chat
    assert chat.tools[0] == {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    assert [tool["function"]["name"] for tool in chat.tools] == ["f", "g", "ns.f"]


@pytest.mark.parametrize(
    ("choice", "names", "must_call"),
    [
        pytest.param("auto", ["f", "g"], False, id="auto"),
        pytest.param("none", [], False, id="none"),
        pytest.param("required", ["f", "g"], True, id="required"),
        pytest.param({"type": "function", "name": "g"}, ["g"], True, id="function"),
        pytest.param(
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
            ["g"],
            True,
            id="allowed tools",
        ),
    ],
)
def test_a_choice_says_which_functions_may_or_must_be_called(choice, names, must_call):
    chat = read(tools=TOOLS, tool_choice=choice).chat
    assert ([tool["function"]["name"] for tool in chat.tools], chat.must_call) == (names, must_call)


def test_calls_may_be_held_to_one():
    assert [read(parallel_tool_calls=value).chat.one_call for value in (None, True, False)] == [False, False, True]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param({"type": "text"}, None, id="text"),
        pytest.param({"type": "json_object"}, "json", id="object"),
        pytest.param({"type": "json_schema", "name": "x", "schema": SCHEMA}, SCHEMA, id="schema"),
    ],
)
def test_a_format_holds_the_answer(wanted, expected):
    assert read(text={"format": wanted}).chat.format == expected


def test_the_answer_repeats_the_request():
    echo = read(instructions="x", tools=TOOLS, metadata={"a": "b"}).echo
    assert (echo["instructions"], echo["tools"], echo["metadata"]) == ("x", TOOLS, {"a": "b"})
    assert (echo["temperature"], echo["tool_choice"], echo["text"]) == (1.0, "auto", {"format": {"type": "text"}})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"model": ""}, "model is required", id="model"),
        pytest.param({"input": None}, '"input" must be', id="input"),
        pytest.param({"input": []}, '"input" must be', id="empty input"),
        pytest.param({"input": [{"type": "x"}]}, 'unknown input item type: "x"', id="item"),
        pytest.param({"input": [{"type": "item_reference", "id": "x"}]}, "Item with id 'x' not found", id="reference"),
        pytest.param({"input": [{}]}, 'unknown input item type: ""', id="no type"),
        pytest.param({"input": [{"role": "user", "content": 1}]}, "must be a string or an array", id="content"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "file inputs are not", id="file"
        ),
        pytest.param({"input": [{**CALL, "arguments": "{"}]}, "invalid tool call arguments", id="arguments"),
        pytest.param({"conversation": "c"}, '"conversation"', id="conversation"),
        pytest.param({"background": True}, '"background"', id="background"),
        pytest.param({"truncation": "x"}, '"truncation" must be', id="truncation"),
        pytest.param({"max_output_tokens": 0}, '"max_output_tokens" must be', id="max_output_tokens"),
        pytest.param({"reasoning": {"effort": "x"}}, "invalid reasoning value", id="effort"),
        pytest.param({"text": {"format": {"type": "x"}}}, '"text.format.type" must be', id="format"),
        pytest.param({"text": {"format": {"type": "json_schema"}}}, '"text.format.schema" must be', id="schema"),
        pytest.param({"tool_choice": "required"}, "there are no tools", id="required without tools"),
        pytest.param({"tools": TOOLS, "tool_choice": {"type": "web_search"}}, '"tool_choice" must be', id="choice"),
        pytest.param({"tools": [{"type": "function"}]}, r'"tools\[0\].name"', id="nameless"),
    ],
)
def test_a_wrong_field_is_named(fields, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read(**fields)
