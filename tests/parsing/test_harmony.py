from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.parsing.harmony import HarmonyParser
from ollamapy.parsing.part import Part
from tests.parsing.splits import same_however_cut


def make() -> HarmonyParser:
    return HarmonyParser(Random(1))


def summary(part: Part) -> tuple[str, str, list[tuple[str, object]]]:
    return part.content, part.thinking, [(call.name, dict(call.arguments)) for call in part.tool_calls]


THOUGHT = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
CALL = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"{THOUGHT}<|channel|>final<|message|>Hi <b><|return|>", ("Hi <b>", "Hm.", []), id="answer"),
        pytest.param(THOUGHT + CALL, ("", "Hm.", [("f", {"a": 1})]), id="call"),
        pytest.param(
            f'{THOUGHT} to=functions.f<|channel|>commentary json<|message|>{{"a": 1}}<|call|>',
            ("", "Hm.", [("f", {"a": 1})]),
            id="recipient in the role",
        ),
        pytest.param(" to=functions.f<|message|>{}", ("", "", [("f", {})]), id="recipient first, end left out"),
        pytest.param("<|channel|>commentary<|message|>Wait.<|end|>", ("Wait.", "", []), id="commentary to nobody"),
        pytest.param(f"{CALL}<|start|>assistant{CALL}", ("", "", [("f", {"a": 1})] * 2), id="two calls"),
        pytest.param(f"<|oops {'word ' * 200}", (f"<|oops {'word ' * 200}", "", []), id="a header without an end"),
        pytest.param(
            f"<|channel|>{'x' * 600}<|message|>a", (f"<|channel|>{'x' * 600}<|message|>a", "", []), id="a long header"
        ),
        pytest.param("Plain text", ("Plain text", "", []), id="no header"),
        pytest.param(CALL.replace("}", ""), ('{"a": 1', "", []), id="malformed arguments"),
        pytest.param("<|channel|>final<|message|>a<|en", ("a<|en", "", []), id="an end mark cut off"),
        pytest.param(f"{THOUGHT}<|chan", ("", "Hm.", []), id="a header cut off"),
        pytest.param("", ("", "", []), id="nothing"),
    ],
)
def test_channels_become_parts(text: str, expected: tuple[str, str, list[tuple[str, object]]]) -> None:
    assert summary(same_however_cut(make, text, [5, 20, 33])) == expected


pieces = st.sampled_from([
    "<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|call|>", "assistant", "analysis", "final", "commentary",
    " to=functions.f", '{"a": 1}', "text", " ", "<|", "<", "to",
])  # fmt: skip


@given(st.lists(pieces, max_size=14).map("".join), st.lists(st.integers(0, 300), max_size=8))
def test_chunks_do_not_matter(text: str, points: list[int]) -> None:
    same_however_cut(make, text, points)


@pytest.mark.parametrize(
    ("prompt_tail", "expected"),
    [
        ("<|start|>assistant<|channel|>final<|message|>", ("to=f", "", [])),
        ("<|channel|>final<|message|>x<|end|><|start|>assistant<|channel|>analysis<|message|>", ("", "to=f", [])),
        ("<|start|>user<|message|>x<|end|><|start|>assistant", ("", "", [])),
    ],
)
def test_a_prompt_may_have_begun_the_message(prompt_tail: str, expected: object) -> None:
    parser = HarmonyParser(Random(1), prompt_tail)
    part = parser.feed("to=f").then(parser.close())
    assert summary(part) == expected
