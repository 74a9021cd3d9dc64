import pytest

from ollamapy.actions.history import droppable_groups, without_groups
from ollamapy.types import Message, ToolCall

CALL = (ToolCall("f", {}),)


def chat(text):
    """Build messages from letters: System, User, Assistant, assistant with a Call, Tool."""
    roles = {"s": "system", "u": "user", "a": "assistant", "c": "assistant", "t": "tool"}
    return [Message(roles[letter], str(i), tool_calls=CALL if letter == "c" else ()) for i, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("letters", "groups"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("u", [], id="one question"),
        pytest.param("su", [], id="a system message stays"),
        pytest.param("suau", [(1, 2)], id="an old turn goes whole"),
        pytest.param("uauau", [(0, 1), (2, 3)], id="the oldest first"),
        pytest.param("auau", [(0,), (1, 2)], id="what precedes the first question goes first"),
        pytest.param("usau", [(0, 2)], id="a system message in the middle stays"),
        pytest.param("uctau", [(0, 1, 2, 3)], id="a tool round trip goes with its turn"),
        pytest.param("uctt", [], id="the last round trip stays"),
        pytest.param("ucttctct", [(1, 2, 3), (4, 5)], id="older round trips of the last turn go whole"),
        pytest.param("uaucta", [(0, 1), (3, 4)], id="a last open answer stays"),
        pytest.param("sa", [(1,)], id="without a question an answer may go"),
    ],
)
def test_groups_that_only_make_sense_together(letters, groups):
    assert droppable_groups(chat(letters)) == groups


def test_dropping_keeps_the_order_of_the_rest():
    messages = chat("suauau")
    kept = without_groups(messages, droppable_groups(messages)[:1])
    assert [message.content for message in kept] == ["0", "3", "4", "5"]
