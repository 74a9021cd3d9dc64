from __future__ import annotations

from random import Random

import pytest

from ollamapy.parsing.part import Part
from ollamapy.parsing.xtml import XtmlParser
from tests.parsing.splits import same_however_cut

ANSWER = "<|close|>think<|sep|><|open|>response<|sep|>Hi & bye.<|close|>response<|sep|><|close|>message<|sep|>"


@pytest.mark.parametrize(
    ("tail", "text", "content", "thinking"),
    [
        pytest.param("<|open|>think<|sep|>", f"I think.{ANSWER}", "Hi & bye.", "I think.", id="the prompt opens it"),
        pytest.param("", f"<|open|>think<|sep|>I think.{ANSWER}", "Hi & bye.", "I think.", id="the answer opens it"),
        pytest.param("<|open|>response<|sep|>", "Hi.<|close|>response<|sep|>", "Hi.", "", id="no thinking"),
        pytest.param("", "Hi.", "Hi.", "", id="no tags"),
        pytest.param("", "a < b <| c", "a < b <| c", "", id="no tag after all"),
        pytest.param("<|open|>think<|sep|>", "I thi", "", "I thi", id="cut off"),
        pytest.param("", "Hi.<|open|>respon", "Hi.", "", id="cut off in a tag"),
        pytest.param("", f"Hi.<|open|>{'x' * 2000}", f"Hi.<|open|>{'x' * 2000}", "", id="a tag without an end"),
        pytest.param("<|open|>think<|sep|>", "Hm.<|close|>think<|sep|>\nHi.", "\nHi.", "Hm.", id="no channel"),
        pytest.param("", "<|open|>odd<|sep|>Hi.<|close|>odd<|sep|>", "Hi.", "", id="an unknown channel"),
    ],
)  # fmt: skip
def test_channels_are_told_apart(tail: str, text: str, content: str, thinking: str) -> None:
    part = same_however_cut(lambda: XtmlParser(Random(1), tail), text, [3, 21, 30])
    assert part == Part(content, thinking)


def test_attributes_are_unescaped_and_values_have_their_type() -> None:
    call = (
        '<|open|>call tool="f" index="1"<|sep|><|open|>argument key="a&quot;b" type="number"<|sep|>3.5'
        '<|close|>argument<|sep|><|open|>argument key="n" type="string"<|sep|>3<|close|>argument<|sep|>'
        '<|open|>argument key="o" type="object"<|sep|>{"x": [1]}<|close|>argument<|sep|><|close|>call<|sep|>'
    )
    (found,) = same_however_cut(lambda: XtmlParser(Random(1)), call, [9, 40]).tool_calls
    assert (found.name, dict(found.arguments)) == ("f", {'a"b': 3.5, "n": "3", "o": {"x": [1]}})
