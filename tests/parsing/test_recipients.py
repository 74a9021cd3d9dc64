from __future__ import annotations

from random import Random

import pytest

from ollamapy.parsing.recipients import RecipientParser
from tests.parsing.splits import same_however_cut


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        pytest.param("all\nHi.", "Hi.", [], id="for all"),
        pytest.param("all\na >> b > c", "a >> b > c", [], id="no mark after all"),
        pytest.param(">>>all\nHi.", "Hi.", [], id="the mark again"),
        pytest.param("f\n{}", "", [("f", {})], id="a function"),
        pytest.param("f\n", "", [("f", {})], id="without arguments"),
        pytest.param('all\nHi.>>>f\n{"a": ">>"}>>>all\nBye.', "Hi.Bye.", [("f", {"a": ">>"})], id="in turn"),
        pytest.param("f\n[1]", "f\n[1]", [], id="no object"),
        pytest.param("al", "al", [], id="cut off in the header"),
    ],
)
def test_text_goes_to_its_recipient(text: str, content: str, calls: list[tuple[str, object]]) -> None:
    part = same_however_cut(lambda: RecipientParser(Random(1)), text, [2, 5, 9])
    assert part.content == content
    assert [(call.name, dict(call.arguments)) for call in part.tool_calls] == calls
