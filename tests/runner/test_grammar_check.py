from __future__ import annotations

import json
import sys

import pytest

from ollamapy.errors import RunnerError
from ollamapy.runner.grammar_check import GrammarCheck

pytestmark = pytest.mark.anyio


def schema(value: object) -> str:
    return json.dumps({"grammars": [{"json_schema": value}]})


def lark(text: str) -> str:
    return json.dumps({"grammars": [{"lark_grammar": text}]})


LENGTHS = [{"type": "string", "minLength": 901 + 7 * i, "maxLength": 5000 - 3 * i} for i in range(150)]
CHEAP = {
    "object": schema({"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}}}),
    "a few lengths": schema({"anyOf": LENGTHS[:5]}),
    "long texts": schema({"properties": {name: {"type": "string", "maxLength": 9000} for name in "abcde"}}),
    "multiple": schema({"type": "integer", "multipleOf": 5}),
    "wrong": lark("start: nope"),
    "nonsense": "no JSON",
}
DEAR = {
    "many lengths of one text": schema({"anyOf": LENGTHS}),
    "many patterns at once": schema({"allOf": [{"type": "string", "pattern": f".*{i}.*"} for i in range(40)]}),
    "a large divisor": schema({"type": "integer", "multipleOf": 99999989}),
    "many complements": lark("start: A\nA: /[a-z0-9]*/" + "".join(f" & ~/.*{i}.*/" for i in range(22))),
}


@pytest.mark.parametrize("grammar", CHEAP.values(), ids=CHEAP)
async def test_what_compiles_soon_or_fails_soon_is_cheap(grammar: str) -> None:
    assert await GrammarCheck().is_cheap(grammar)


@pytest.mark.parametrize("grammar", DEAR.values(), ids=DEAR)
async def test_t61_what_takes_any_time_or_memory_is_not(grammar: str) -> None:
    assert not await GrammarCheck().is_cheap(grammar)


async def test_an_answer_is_remembered() -> None:
    check = GrammarCheck((sys.executable, "-c", "import sys; sys.exit(len(sys.stdin.read()) > 5)"))
    assert [await check.is_cheap("short"), await check.is_cheap("too long")] == [True, False]
    check._command = ("/nowhere",)
    assert [await check.is_cheap("short"), await check.is_cheap("too long")] == [True, False]
    with pytest.raises(RunnerError, match="could not start a process"):
        await check.is_cheap("unknown")
