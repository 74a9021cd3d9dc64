from __future__ import annotations

import pytest

from ollamapy.parsing.schema import enforced
from ollamapy.types import Json

TEXT: Json = {"type": "string"}
OPEN: Json = {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}
CLOSED: Json = {"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize("name", ["password", "int32", "path", "uri-reference"])
def test_a_format_that_holds_nobody_to_anything_goes(name: str) -> None:
    schema: Json = {"anyOf": [{"type": "string", "format": name}, {"items": {"format": name, "minLength": 2}}]}
    assert enforced(schema) == {"anyOf": [{"type": "string"}, {"items": {"minLength": 2}}]}


@pytest.mark.parametrize("names", [True, {}, {"type": "string"}])
def test_what_says_of_names_that_they_are_text_goes(names: Json) -> None:
    schema: Json = {"type": "object", "propertyNames": names, "additionalProperties": TEXT}
    assert enforced(schema) == {"type": "object", "additionalProperties": TEXT}
    assert enforced({"propertyNames": {"pattern": "^a"}}) == {"propertyNames": {"pattern": "^a"}}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "string", "format": "date-time"}, id="enforced"),
        pytest.param({"$defs": {"format": {"type": "string"}}}, id="a definition's name"),
        pytest.param({"enum": [{"format": "path"}]}, id="a value"),
        pytest.param({"const": {"format": "path"}, "format": ["wrong"]}, id="no text"),
        pytest.param(True, id="no object"),
    ],
)
def test_all_else_stays(schema: Json) -> None:
    assert enforced(schema) == schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(OPEN, CLOSED, id="at the root"),
        pytest.param({"properties": {"a": {}}}, {"properties": {"a": {}}, "additionalProperties": False}, id="bare"),
        pytest.param({"items": OPEN}, {"items": CLOSED}, id="in a list"),
        pytest.param({"anyOf": [OPEN, TEXT]}, {"anyOf": [CLOSED, TEXT]}, id="one of several"),
        pytest.param({"allOf": [OPEN]}, {"allOf": [CLOSED]}, id="the only one of all"),
        pytest.param(
            {"$ref": "#/$defs/x", "$defs": {"x": OPEN}}, {"$ref": "#/$defs/x", "$defs": {"x": CLOSED}}, id="defined"
        ),
        pytest.param(
            {"properties": {"format": OPEN, "not": TEXT}},
            {"properties": {"format": CLOSED, "not": TEXT}, "additionalProperties": False},
            id="with names that are keywords elsewhere",
        ),
    ],
)
def test_an_object_with_named_properties_takes_no_others(schema: Json, expected: Json) -> None:
    assert enforced(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="no properties"),
        pytest.param({"type": "object", "properties": {}}, id="no property"),
        pytest.param({**OPEN, "additionalProperties": True}, id="open"),
        pytest.param({**OPEN, "additionalProperties": TEXT}, id="others of a kind"),
        pytest.param({**OPEN, "patternProperties": {"^x": TEXT}}, id="others by a pattern"),
        pytest.param({**OPEN, "required": ["b"]}, id="others required"),
        pytest.param({**OPEN, "required": [["a"]]}, id="required by no name"),
        pytest.param({**OPEN, "required": "a"}, id="required is no list"),
        pytest.param({**OPEN, "minProperties": 2}, id="many required"),
        pytest.param({"properties": [TEXT]}, id="properties is no object"),
        pytest.param({"default": OPEN}, id="a value"),
    ],
)
def test_an_object_that_may_or_must_have_other_properties_stays(schema: Json) -> None:
    assert enforced(schema) == schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"allOf": [OPEN, {"properties": {"b": TEXT}}]}, id="all of several"),
        pytest.param({**OPEN, "anyOf": [{"properties": {"b": TEXT}}]}, id="any of several, too"),
        pytest.param({**OPEN, "$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": TEXT}}}}, id="a reference, too"),
        pytest.param(
            {"$ref": "#/$defs/x", "required": ["b"], "$defs": {"x": OPEN}}, id="a reference and what it lacks"
        ),
        pytest.param({"allOf": [OPEN], "required": ["a", "b"]}, id="the only one and what it lacks"),
        pytest.param({"$ref": "#/$defs/x", "allOf": [{"required": ["b"]}], "$defs": {"x": OPEN}}, id="inherited"),
        pytest.param({"type": "object", "required": ["kind"], "anyOf": [OPEN]}, id="any, with a property of all"),
        pytest.param({"$ref": "#/$defs/x", "minProperties": 2, "$defs": {"x": OPEN}}, id="a reference, but larger"),
        pytest.param({"properties": {"a": TEXT}, "const": {"a": "x", "b": 2}}, id="one value"),
        pytest.param({"properties": {"a": TEXT}, "enum": [{"a": "x", "b": 2}]}, id="some values"),
        pytest.param(
            {"properties": {"ab": OPEN}, "patternProperties": {"^a": {"required": ["y"]}}}, id="a pattern, too"
        ),
        pytest.param({"anyOf": [OPEN], "oneOf": [{"properties": {"c": TEXT}}]}, id="any of some, one of others"),
        pytest.param({"items": {**OPEN, "not": {"properties": {"a": {"const": "x"}}}}}, id="not"),
        pytest.param({**OPEN, "if": OPEN, "then": {"properties": {"b": TEXT}}}, id="if"),
        pytest.param({**OPEN, "dependentSchemas": {"a": {"properties": {"b": TEXT}}}}, id="dependent"),
    ],
)
def test_schemas_that_hold_for_one_value_together_leave_it_open(schema: Json) -> None:
    assert enforced(schema) == schema
