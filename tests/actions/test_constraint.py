import json

import pytest

from ollamapy.actions.constraint import grammar_of
from ollamapy.errors import InvalidInputError


def schema_of(output_format):
    (grammar,) = json.loads(grammar_of(output_format))["grammars"]
    return grammar["json_schema"]


def test_no_format_is_no_grammar():
    assert grammar_of(None) is None


def test_json_means_an_object():
    assert schema_of("json")["type"] == "object"


def test_a_schema_is_kept_as_it_is_but_for_how_much_blank_it_allows():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "x-guidance": {"lenient": True}}
    sent = schema_of(schema)
    assert sent.pop("x-guidance").keys() == {"whitespace_pattern"}
    schema.pop("x-guidance")
    assert sent == schema


def test_a_huge_schema_is_refused():
    with pytest.raises(InvalidInputError, match="larger than"):
        grammar_of({"enum": ["x" * 100] * 20_000})
