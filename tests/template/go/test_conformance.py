"""Go's own text/template printed what is expected here: see tests/data/go_templates/generate.go."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ollamapy.errors import TemplateError
from ollamapy.template.go.evaluate import execute
from ollamapy.template.go.functions import BUILTINS, SPECIAL
from ollamapy.template.go.parser import parse_template
from ollamapy.template.go.values import to_bytes

DATA = Path(__file__).parents[2] / "data" / "go_templates"
COMMON = json.loads((DATA / "data.json").read_text())
ROWS = [json.loads(line) for line in (DATA / "cases.jsonl").read_text().splitlines()]


def run(source: str, data: Any) -> bytes:
    template = parse_template(source, [*BUILTINS, *SPECIAL], "t")
    return to_bytes(execute(template, data, {}))


@pytest.mark.parametrize("row", ROWS, ids=[f"{at}: {row['template'][:60]!r}" for at, row in enumerate(ROWS)])
def test_a_template_gives_what_go_gives(row: dict[str, Any]) -> None:
    data = row.get("data", COMMON)
    if "error" in row:
        with pytest.raises(TemplateError) as caught:
            run(row["template"], data)
        assert caught.value.message == row["error"]
        return
    want = base64.b64decode(row["want_base64"]) if "want_base64" in row else row["want"].encode()
    assert run(row["template"], data) == want
