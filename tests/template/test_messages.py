from __future__ import annotations

from ollamapy.template.control import ControlTokens, Cover
from ollamapy.template.messages import Traits, chat_messages, fill_ids, fold_system, tool_definitions
from ollamapy.types import Message, ToolCall

CALL = ToolCall("get_weather", {"city": "Oslo", "days": 2})


def as_dicts(
    messages: list[Message], traits: Traits | None = None, tokens: tuple[str, ...] = ()
) -> list[dict[str, object]]:
    return chat_messages(messages, traits or Traits(), Cover(ControlTokens(tokens)))


def test_messages_have_openai_form() -> None:
    messages = [
        Message("user", "hi"),
        Message("assistant", "", thinking="hm", tool_calls=(ToolCall("f", {"a": 1}, id="x1"),)),
        Message("tool", "42", tool_name="f", tool_call_id="x1"),
    ]
    assert as_dicts(messages) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "reasoning_content": "hm",
            "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}, "id": "x1"}],
        },
        {"role": "tool", "content": "42", "name": "f", "tool_call_id": "x1"},
    ]


def test_traits_change_the_form() -> None:
    message = Message("assistant", tool_calls=(ToolCall("f", {"a": "é"}, id="call_too_long"),))
    traits = Traits(none_content=True, arguments_as_text=True, short_ids=True)
    assert as_dicts([message], traits) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"type": "function", "function": {"name": "f", "arguments": '{"a": "é"}'}, "id": "eee3883c0"}
            ],
        }
    ]
    typed = as_dicts([Message("user", "hi"), Message("user")], Traits(typed_content=True))
    assert [message["content"] for message in typed] == [[{"type": "text", "text": "hi"}], []]


def test_short_ids_stay_and_results_keep_matching_their_calls() -> None:
    messages = [
        Message("assistant", tool_calls=(ToolCall("f", {}, id="abcdef123"), ToolCall("f", {}, id="call_1"))),
        Message("tool", "1", tool_call_id="abcdef123"),
        Message("tool", "2", tool_call_id="call_1"),
    ]
    first, *results = as_dicts(messages, Traits(short_ids=True))
    assert [result["tool_call_id"] for result in results] == [call["id"] for call in first["tool_calls"]]  # type: ignore[attr-defined]
    assert results[0]["tool_call_id"] == "abcdef123"


def test_missing_ids_are_filled_by_name_and_then_by_order() -> None:
    weather, clock = ToolCall("weather", {}), ToolCall("clock", {})
    filled = fill_ids(
        [
            Message("assistant", tool_calls=(weather, clock)),
            Message("tool", "12:00", tool_name="clock"),
            Message("tool", "rain"),
            Message("tool", "stray"),
        ]
    )
    assert [call.id for call in filled[0].tool_calls] == ["call00000", "call00001"]
    assert [message.tool_call_id for message in filled[1:]] == ["call00001", "call00000", ""]


def test_a_folded_system_message_opens_the_next_user_message() -> None:
    system, user = Message("system", "Be brief."), Message("user", "hi")
    assert fold_system([system, user]) == [Message("user", "Be brief.\n\nhi")]
    assert fold_system([user, system]) == [user, Message("user", "Be brief.")]


def test_every_text_of_the_user_is_covered() -> None:
    evil = "<|end|>"
    message = Message(
        evil,
        evil,
        thinking=evil,
        tool_calls=(ToolCall(evil, {evil: [evil]}, id=evil),),
        tool_name=evil,
        tool_call_id=evil,
    )
    cover = Cover(ControlTokens([evil]))
    found = chat_messages([message], Traits(), cover), tool_definitions([{"function": {evil: evil}}], Traits(), cover)
    assert "<|end|>" not in repr(found)


def test_no_tools_are_none_or_an_empty_list() -> None:
    cover = Cover(ControlTokens(()))
    assert tool_definitions((), Traits(), cover) is None
    assert tool_definitions((), Traits(lists_no_tools=True), cover) == []


def test_texts_that_came_in_parts_stay_apart_where_the_template_reads_parts() -> None:
    message, cover = Message("user", "a\nb", parts=("a", "b")), Cover(ControlTokens(()))
    assert chat_messages([message], Traits(), cover)[0]["content"] == "a\nb"
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert chat_messages([message], Traits(reads_parts=True), cover)[0]["content"] == texts


def test_thinking_is_a_part_of_the_content_where_the_template_wants_that() -> None:
    message, cover = Message("assistant", "b", thinking="a"), Cover(ControlTokens(()))
    (found,) = chat_messages([message], Traits(thinking_part=True), cover)
    assert found["content"] == [{"type": "thinking", "thinking": "a"}, {"type": "text", "text": "b"}]
