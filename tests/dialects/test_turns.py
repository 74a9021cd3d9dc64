from ollamapy.dialects.turns import with_tool_names
from ollamapy.types import Message, ToolCall

CALLS = Message("assistant", tool_calls=(ToolCall("weather", {}, "c1"), ToolCall("time", {}, "c2"), ToolCall("x", {})))


def names_of(*messages):
    return [message.tool_name for message in with_tool_names(messages)]


def test_a_result_has_the_name_of_the_call_that_it_answers():
    results = (Message("tool", tool_call_id="c2"), Message("tool", tool_call_id="c1"))
    assert names_of(CALLS, *results) == ["", "time", "weather"]


def test_a_name_that_was_given_stays_and_an_unknown_call_has_none():
    results = (Message("tool", tool_call_id="c1", tool_name="own"), Message("tool", tool_call_id="c9"), Message("tool"))
    assert names_of(CALLS, *results) == ["", "own", "", ""]
    assert names_of(Message("tool", tool_call_id="c1"), CALLS) == ["", ""]
