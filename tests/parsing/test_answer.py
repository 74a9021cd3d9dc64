from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.parsing.answer import (
    AnswerParser,
    Part,
    answer_parser,
)
from ollamapy.parsing.traits import read_traits
from ollamapy.types import ToolCall
from tests.parsing.splits import parse, pieces_of, same_however_cut

HERMES = "{% for tool in tools %}{{ tool }}{% endfor %}<tool_call>…</tool_call> <think></think>"
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get")]


def parser(*, tail: str = "", think: bool = True, tools: bool = True, source: str = HERMES) -> AnswerParser:
    return answer_parser(source, prompt_tail=tail, think_enabled=think, tools=TOOLS if tools else [], rng=Random(1))


def calls(part: Part) -> list[tuple[str, object]]:
    return [(call.name, dict(call.arguments)) for call in part.tool_calls]


CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
WEATHER = ("get_weather", {"city": "Oslo"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Hello there \n", Part("Hello there \n"), id="plain text is untouched"),
        pytest.param(" <think>\n\nhm\n</think>\n\nHi", Part("Hi", "hm\n"), id="thinking"),
        pytest.param("<think></think>Hi", Part("Hi"), id="empty thinking"),
        pytest.param("So <think>a</think>", Part("So <think>a</think>"), id="thinking must lead"),
        pytest.param("<think>never </thi", Part("", "never </thi"), id="thinking left open"),
        pytest.param(" <thi", Part(" <thi"), id="opening tag cut off"),
        pytest.param(" \n", Part(" \n"), id="only whitespace"),
        pytest.param("", Part(), id="nothing"),
    ],
)
def test_thinking_is_split_from_content(text: str, expected: Part) -> None:
    assert parse(parser(), text) == expected
    assert parse(parser(), [text]) == expected


def test_a_prompt_that_ends_with_the_opening_tag_starts_inside_thinking() -> None:
    assert parse(parser(tail="<|im_start|>assistant\n<think>\n"), ["\nhm</think>\nHi"]) == Part("Hi", "hm")


@pytest.mark.parametrize("gap", ["", "\n"])
def test_a_call_that_ends_an_answer_in_open_thinking_is_a_call(gap: str) -> None:
    text = f"<think>\nI ask.\n{CALL}{gap}{CALL}\n"
    for pieces in (text, [text]):
        part = parse(parser(), pieces)
        assert calls(part) == [WEATHER, WEATHER]
        assert part.content == ""
        assert part.thinking.startswith("I ask.")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<think>I could write {CALL} here.", id="words behind it"),
        pytest.param(f"<think>I could write {CALL}\n</think>Hi", id="thinking closed"),
        pytest.param("<think>I write <tool_call>", id="no end"),
    ],
)
def test_a_call_that_is_only_thought_of_is_none(text: str) -> None:
    part = parse(parser(), [text])
    assert not part.tool_calls
    assert part == parse(parser(tools=False), [text])


def test_a_closed_thought_in_the_prompt_is_not_open() -> None:
    assert parse(parser(tail="<think>\n\n</think>\n\n"), ["Hi"]) == Part("Hi")


def test_with_thinking_off_the_tags_stay_in_the_content() -> None:
    assert parse(parser(think=False), ["<think>a</think>b"]) == Part("<think>a</think>b")


def test_without_tools_a_call_stays_in_the_content() -> None:
    assert parse(parser(tools=False), [CALL]) == Part(CALL)


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        pytest.param(CALL, "", [WEATHER], id="one call"),
        pytest.param(f"{CALL}\n{CALL}\n", "", [WEATHER, WEATHER], id="two calls"),
        pytest.param(f"Let me look.\n{CALL}\n", "Let me look.", [WEATHER], id="text before"),
        pytest.param(f"{CALL}\n\nDone.\n", "Done.\n", [WEATHER], id="text after"),
        pytest.param(f"A\n{CALL}\n\nB {CALL}", "A\nB", [WEATHER, WEATHER], id="text around keeps one gap"),
        pytest.param(CALL[: -len("\n</tool_call>")], "", [WEATHER], id="closing tag left out"),
        pytest.param('<tool_call>{"name": "nope"}</tool_call>', "", [("nope", {})], id="unknown name, no arguments"),
        pytest.param(
            '<tool_call>{"name": "get", "arguments": "{\\"a\\": 1}"}</tool_call>',
            "",
            [("get", {"a": 1})],
            id="as a text",
        ),
        pytest.param(
            '<tool_call>{"name": "get", "arguments": {"q": "a </tool_call> \\" b"}}</tool_call>x',
            "x",
            [("get", {"q": 'a </tool_call> " b'})],
            id="closing tag within a string",
        ),
        pytest.param(
            '<tool_call>[{"name": "get", "parameters": {}}, {"name": "f", "parameters": {"a": "x\ny"}}]</tool_call>',
            "",
            [("get", {}), ("f", {"a": "x\ny"})],
            id="a list, raw line break",
        ),
        pytest.param("<tool_call>{oops}</tool_call> x", "<tool_call>{oops}</tool_call> x", [], id="malformed"),
        pytest.param("<tool_call>\n{", "<tool_call>\n{", [], id="cut off"),
        pytest.param("a <tool_ca", "a <tool_ca", [], id="opening tag cut off"),
        pytest.param(f"Write <tool_call> first: {CALL}", "Write <tool_call> first:", [WEATHER], id="a tag in prose"),
        pytest.param('<tool_call>{"name": "get", "arguments": [1]}</tool_call>', None, [], id="arguments are a list"),
        pytest.param(
            '<tool_call>{"name": "get", "arguments": {"a": 1e999}}</tool_call>', None, [], id="infinite number"
        ),
        pytest.param("<tool_call>" + "[" * 100_000 + "</tool_call>", None, [], id="deep nesting"),
        pytest.param(
            '<tool_call>{"name": "get", "arguments": {"a": "\\ud800"}}</tool_call>',
            "",
            [("get", {"a": "?"})],
            id="surrogate",
        ),
    ],
)
def test_calls_are_taken_out_of_the_content(text: str, content: str | None, expected: list[object]) -> None:
    part = parse(parser(), [text])
    assert calls(part) == expected
    assert part.content == (text if content is None else content)
    if len(text) < 1000:
        assert parse(parser(), text) == part


def test_ids_come_from_the_random_source_and_indices_count_up() -> None:
    first, second = parse(parser(), [CALL + CALL]).tool_calls
    assert (first.index, second.index) == (0, 1)
    assert first.id != second.id
    assert parse(parser(), [CALL]).tool_calls == (ToolCall("get_weather", {"city": "Oslo"}, first.id, 0),)
    assert first.id.startswith("call_")
    assert len(first.id) == 13


def test_a_call_is_given_out_as_soon_as_it_is_complete() -> None:
    stream = parser()
    assert stream.feed("<think>a</think>Hi") == Part("Hi", "a")
    assert stream.feed(" " + CALL[:-1]).tool_calls == ()
    part = stream.feed(">")
    assert (part.content, calls(part)) == ("", [WEATHER])


def test_the_arguments_of_a_call_are_given_out_while_they_are_written() -> None:
    stream = parser()
    assert stream.feed('<tool_call>{"name": "get_weather", "argum').call_deltas == ()
    pieces = [
        stream.feed(text).call_deltas for text in ('ents": {"city": "Os', "lo\\", '" \nx', '"}', "}</tool", "_call>")
    ]
    assert [[delta.arguments for delta in found] for found in pieces] == [
        ['{"city": "Os'], ["lo"], ['\\" \\nx'], ['"}'], [], []
    ]  # fmt: skip
    assert {(delta.index, delta.name) for found in pieces for delta in found} == {(0, "get_weather")}


def test_a_call_that_is_cut_while_it_is_written_is_text_too() -> None:
    stream = parser()
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "Os'
    parts = [stream.feed(text), stream.close()]
    assert pieces_of(parts)[0][1:] == ("get_weather", '{"city": "Os')
    assert "".join(part.content for part in parts) == text


def test_the_next_call_has_an_index_of_its_own_where_one_was_given_up() -> None:
    stream = parser()
    parts = [stream.feed(text) for text in ('<tool_call>{"name": "now", "arguments": {', "oops}}</tool_call>", CALL)]
    assert parts[0].call_deltas[0].index == 0
    assert parts[2].tool_calls[0].index == 1
    assert "oops" in parts[1].content


PIECES = [
    CALL, "<tool_call>", "</tool_call>", '{"name": "get", "arguments": {"a": "', '"}}', "<think>", "</think>", "\n",
    " ", "word", "<", "<tool", '\\"', "{", "}", "[", "]", "é\u3000",
]  # fmt: skip
answers = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(answers, st.lists(st.integers(0, 1000), max_size=12))
def test_chunks_do_not_matter(text: str, points: list[int]) -> None:
    same_however_cut(parser, text, points)


@given(answers)
def test_nothing_is_lost_without_calls(text: str) -> None:
    part = parse(parser(think=False), [text])
    if not part.tool_calls:
        assert part.content == text


@pytest.mark.parametrize(
    ("source", "thinks", "tools"),
    [
        pytest.param(HERMES, True, True, id="both"),
        pytest.param("{{ messages[0].content }}", False, False, id="neither"),
    ],
)
def test_a_template_tells_what_its_model_can_do(source: str, thinks: bool, tools: bool) -> None:
    assert (read_traits(source).thinks, read_traits(source).calls_tools) == (thinks, tools)


def test_a_go_template_with_a_suffix_can_insert() -> None:
    assert read_traits("<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>").inserts
    assert not read_traits("{{ .Prompt }}").inserts
    assert not read_traits("{% suffix %}").inserts
