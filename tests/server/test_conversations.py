from ollamapy.server.conversations import Conversations
from ollamapy.types import Message, ToolCall

HI = Message("user", "hi", tool_calls=(ToolCall("f", {"a": 1}),))


def test_a_conversation_is_found_until_it_is_forgotten():
    kept = Conversations()
    kept.keep("a", [HI], b"{}")
    found = kept.find("a")
    assert found is not None
    assert (found.messages, found.response) == ((HI,), b"{}")
    assert (kept.forget("a"), kept.forget("a"), kept.find("a")) == (True, False, None)


def test_the_one_that_was_not_used_longest_makes_room():
    kept = Conversations(most=2)
    kept.keep("a", [HI], b"")
    kept.keep("b", [HI], b"")
    kept.find("a")
    kept.keep("c", [HI], b"")
    assert [kept.find(name) is not None for name in "abc"] == [True, False, True]


def test_all_together_have_a_bound_in_bytes():
    kept = Conversations(most_bytes=10_000)
    for name in "abc":
        kept.keep(name, [HI], b"x" * 4000)
    assert [kept.find(name) is not None for name in "abc"] == [False, True, True]
    kept.keep("d", [Message("user", "x" * 10_000)], b"")
    assert [kept.find(name) is not None for name in "abcd"] == [False] * 4
    kept.keep("e", [HI], b"")
    assert kept.find("e") is not None
