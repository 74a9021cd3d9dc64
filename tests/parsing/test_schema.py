from __future__ import annotations

import pytest

from ollamapy.parsing.schema import without_notes
from ollamapy.types import Json


@pytest.mark.parametrize("name", ["password", "int32", "path", "uri-reference"])
def test_a_format_that_holds_nobody_to_anything_goes(name: str) -> None:
    schema: Json = {"anyOf": [{"type": "string", "format": name}, {"items": {"format": name, "minLength": 2}}]}
    assert without_notes(schema) == {"anyOf": [{"type": "string"}, {"items": {"minLength": 2}}]}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "string", "format": "date-time"}, id="enforced"),
        pytest.param({"properties": {"format": {"type": "string"}}, "required": ["format"]}, id="a property's name"),
        pytest.param({"$defs": {"format": {"type": "string"}}}, id="a definition's name"),
        pytest.param({"enum": [{"format": "path"}]}, id="a value"),
        pytest.param({"const": {"format": "path"}, "format": ["wrong"]}, id="no text"),
        pytest.param(True, id="no object"),
    ],
)
def test_all_else_stays(schema: Json) -> None:
    assert without_notes(schema) == schema
