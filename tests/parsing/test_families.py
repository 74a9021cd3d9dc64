from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.parsing.answer import AnswerParser, answer_marks, answer_parser
from ollamapy.parsing.part import Part
from ollamapy.parsing.schemas import convert_text
from ollamapy.parsing.tool_calls import find_syntaxes
from ollamapy.template.prompt import chat_template, render_chat
from ollamapy.types import Message, ToolCall
from tests.parsing.splits import parse, pieces_of, same_however_cut

PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "deep": {"type": "object"},
    "sure": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
}
FUNCTIONS = {"get_weather": PROPERTIES, "now": {}}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": properties}},
    }
    for name, properties in FUNCTIONS.items()
]


def parser(source: str, *, think: bool = True) -> AnswerParser:
    return answer_parser(source, prompt_tail="", think_enabled=think, tools=TOOLS, rng=Random(1))


def calls(part: Part) -> list[list[object]]:
    return [[call.name, dict(call.arguments)] for call in part.tool_calls]


DATA = Path(__file__).parents[1] / "data" / "tool_calls"
# Written by hand after the models' chat templates: words of a template, an answer, and what it holds.
CASES = {row["name"]: row for row in map(json.loads, (DATA / "families.jsonl").read_text().splitlines())}
ROUND_TRIPS = (DATA / "round_trips.txt").read_text().split()  # templates that write calls after the open prompt


@pytest.mark.parametrize("name", CASES)
def test_calls_of_a_family_are_read(name: str) -> None:
    row = CASES[name]
    part = same_however_cut(lambda: parser(f"{{% {row['template']} %}}"), row["answer"], [3, 17, 40, 41, 77])
    assert (calls(part), part.content, part.thinking) == (row["calls"], row["content"], "")


STREAMED = [
    "functionary", "mistral", "mistral with ids", "mistral, brackets in strings", "deepseek", "kimi", "solar", "llama",
    "llama, tagged", "granite", "nemotron", "gigachat", "cohere", "command-r", "firefunction",
    "unknown family", "functionary 3.2", "functionary 3.2, two calls",
]  # fmt: skip


@pytest.mark.parametrize("name", STREAMED)
def test_arguments_in_json_are_given_out_while_they_are_written(name: str) -> None:
    row = CASES[name]
    stream = parser(f"{{% {row['template']} %}}")
    parts = [stream.feed(char) for char in row["answer"]] + [stream.close()]
    written = [[called, arguments] for _, called, arguments in pieces_of(parts).values()]
    assert written == row["calls"]
    assert sum(len(part.call_deltas) for part in parts) > len(written)


@given(st.sampled_from(sorted(CASES)), st.data(), st.lists(st.integers(0, 500), max_size=6))
def test_chunks_and_damage_do_not_matter(name: str, data: st.DataObject, points: list[int]) -> None:
    source, text = CASES[name]["template"], CASES[name]["answer"]
    start, stop = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    same_however_cut(lambda: parser(f"{{% {source} %}}"), text[:start] + text[stop:] + text, points)


@pytest.mark.parametrize("name", CASES)
def test_no_mark_begins_another_one(name: str) -> None:
    opens = [syntax.open for syntax in find_syntaxes(CASES[name]["template"], {})]
    assert not [(a, b) for a in opens for b in opens if a != b and b.startswith(a) and a not in "{["]


@pytest.mark.parametrize(
    ("text", "types", "expected"),
    [
        ("3", ["integer"], 3),
        ("3", ["string"], "3"),
        ("3.0", ["integer"], 3),
        ("3", ["number"], 3),
        ("x", ["integer"], "x"),
        ("true", ["boolean", "null"], True),
        ("False", ["boolean"], False),
        ("None", ["null", "string"], None),
        ("null", ["integer", "null"], None),
        ("[1]", ["array"], [1]),
        ("[1", ["array"], "[1"),
        ('{"a": 1}', ["object"], {"a": 1}),
        ('{"a": 1}', ["string", "integer"], '{"a": 1}'),
        ('"x"', ["integer", "string"], '"x"'),
        ("3", [], 3),
        ("x", [], "x"),
        ('"x"', [], '"x"'),
        ("", [], ""),
    ],
)
def test_bare_values_become_what_their_type_says(text: str, types: list[str], expected: object) -> None:
    got = convert_text(text, types)
    assert (got, type(got)) == (expected, type(expected))


def test_marks_name_what_must_stay_visible() -> None:
    assert answer_marks("{% tools [TOOL_CALLS] [ARGS] [/THINK] [THINK] %}") == (
        "[THINK]",
        "[/THINK]",
        "[TOOL_CALLS]",
        "[ARGS]",
    )
    assert answer_marks("{% <|start|><|channel|> %}")[:2] == ("<|start|>", "<|channel|>")
    assert answer_marks("{{ messages }}") == ()


OFF = {"enable_thinking": False, "thinking": False}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_what_a_template_writes_for_a_call_is_read_back(shared_models: Path, name: str) -> None:
    source = (shared_models / "templates" / "llama.cpp" / f"{name}.jinja").read_text()
    template = chat_template(source)
    arguments: dict[str, Any] = {"city": 'Oslo "x" <b>\nand', "days": 3}
    messages = [
        Message("user", "hi there"),
        Message("assistant", tool_calls=(ToolCall("get_weather", arguments, "call12345"),)),
    ]

    def render(n_messages: int) -> str:
        is_open = n_messages == 1
        segments = render_chat(template, messages[:n_messages], tools=TOOLS, extra=OFF, add_generation_prompt=is_open)
        return "".join(segment.text for segment in segments)

    prompt, whole = render(1), render(2)
    shared = next((at for at, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt))
    part = parse(answer_parser(source, prompt_tail=prompt[-100:], think_enabled=True, tools=TOOLS), [whole[shared:]])
    assert calls(part) == [["get_weather", arguments]]
