"""What llguidance complains of, as users are told."""

from __future__ import annotations

import json

import llguidance
import pytest

from ollamapy.worker.constraint import reason_of

OVERLAPPING = {"oneOf": [{"type": "string"}, {"minLength": 2}]}


def nested(depth: int) -> dict[str, object]:
    return {"type": "object", "properties": {"a": nested(depth - 1)}} if depth else {}


def complaint(grammar: dict[str, object]) -> str:
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), json.dumps({"grammars": [grammar]}), log_level=0)
    return str(matcher.get_error())


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        pytest.param({"uniqueItems": True}, 'not supported: ["uniqueItems"]', id="a keyword"),
        pytest.param(nested(200), "nested too deeply", id="deep nesting"),
        pytest.param(OVERLAPPING, "a value may match several of a oneOf; use anyOf, ", id="alternatives"),
    ],
)
def test_a_reason_names_what_to_change_in_a_schema(schema: dict[str, object], reason: str) -> None:
    assert reason_of(complaint({"json_schema": schema}), "format").startswith(reason)
    around = f"start: call\ncall: %json {json.dumps(schema)}"
    assert reason in reason_of(complaint({"lark_grammar": around}), "tools")
    assert "start" not in reason_of(complaint({"lark_grammar": around}), "tools")


def test_the_line_of_a_grammar_that_somebody_wrote_is_told() -> None:
    assert reason_of(complaint({"lark_grammar": 'start: "a" nowhere'}), "lark").startswith("at 1(")
