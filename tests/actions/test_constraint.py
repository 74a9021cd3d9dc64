import json

import pytest

from ollamapy.actions.constraint import grammar_from, grammar_of, is_suspicious
from ollamapy.errors import InvalidInputError
from ollamapy.types import Grammar


def schema_of(output_format):
    (grammar,) = json.loads(grammar_of(output_format))["grammars"]
    return grammar["json_schema"]


def test_json_means_an_object():
    assert schema_of("json")["type"] == "object"


def test_a_schema_is_kept_as_it_is_but_for_how_much_blank_it_allows():
    schema = {"type": "array", "items": {"type": "string"}, "x-guidance": {"lenient": True}}
    sent = schema_of(schema)
    assert sent.pop("x-guidance").keys() == {"whitespace_pattern"}
    schema.pop("x-guidance")
    assert sent == schema


def test_an_object_takes_no_properties_but_those_that_a_schema_names():
    properties = {"a": {"type": "string"}}
    assert schema_of({"type": "object", "properties": properties})["additionalProperties"] is False
    assert schema_of({"properties": properties, "additionalProperties": True})["additionalProperties"] is True


def test_a_huge_schema_is_refused():
    with pytest.raises(InvalidInputError, match="larger than"):
        grammar_of({"enum": ["x" * 100] * 20_000})


def test_a_huge_schema_is_refused_before_its_parts_are_looked_at(monkeypatch):
    monkeypatch.setattr("ollamapy.actions.constraint.enforced", lambda schema: pytest.fail("looked at"))
    with pytest.raises(InvalidInputError, match="larger than"):
        grammar_of({"anyOf": [{}] * 1_000_000})


def lark_of(field, text):
    (grammar,) = json.loads(grammar_from(Grammar(field, text)))["grammars"]
    return grammar["lark_grammar"]


def test_lark_is_taken_as_it_is():
    assert lark_of("lark", 'start: "a"') == 'start: "a"'


def test_gbnf_is_converted():
    assert "start:" in lark_of("grammar", 'root ::= "a"')


@pytest.mark.parametrize(
    ("text", "written"), [("a/b", r"a\/b"), (r"a\/b", r"a\/b"), ("a\nb", r"a\nb"), ("a\\\\", r"a\\")]
)
def test_a_regular_expression_stands_between_slashes(text, written):
    assert lark_of("regex", text) == f"start: /{written}/\n"


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("regex", "a\\", "lone"),
        ("regex", "a" * 100_000, "at most 65536"),
        ("lark", "a" * 100_000, "at most 65536"),
        ("grammar", "a" * 100_000, "at most 65536"),
        ("grammar", "root ::= root", "begins with itself"),
    ],
)
def test_what_can_be_no_grammar_is_refused_by_the_name_of_its_field(field, text, complaint):
    with pytest.raises(InvalidInputError, match=f"^{field}: .*{complaint}"):
        grammar_from(Grammar(field, text))


def test_only_schemas_that_may_cost_much_are_suspicious():
    assert not is_suspicious({"type": "object", "properties": {"patterns": {"enum": ["a"]}}})
    for keyword in ("pattern", "patternProperties", "multipleOf", "allOf"):
        assert is_suspicious({"properties": {"a": {keyword: []}}})
    assert is_suspicious({"enum": ["x" * 40_000]})
