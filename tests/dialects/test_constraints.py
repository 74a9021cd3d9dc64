import pytest

from ollamapy.dialects.anthropic_requests import messages_request
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.native_requests import chat_request, generate_request
from ollamapy.dialects.openai_completions import completion_request
from ollamapy.dialects.openai_requests import chat_completion_request
from ollamapy.dialects.responses_requests import response_request
from ollamapy.errors import InvalidInputError
from ollamapy.types import Grammar

TURN = {"role": "user", "content": "hi"}
CHAT = {"model": "m", "messages": [TURN]}
READERS = {
    "chat": (chat_request, CHAT, "format"),
    "generate": (generate_request, {"model": "m", "prompt": "hi"}, "format"),
    "completions": (lambda fields: completion_request(fields).prompts[0], {"model": "m"}, "response_format"),
    "chat completions": (lambda fields: chat_completion_request(fields).chat, CHAT, "response_format"),
}
ROUTES = {
    **READERS,
    "responses": (lambda fields: response_request(fields, lambda _: None), {"model": "m", "input": "x"}, "text.format"),
    "messages": (messages_request, {**CHAT, "max_tokens": 1}, "output_config.format"),
}


@pytest.mark.parametrize("route", READERS)
@pytest.mark.parametrize("field", ["grammar", "regex", "lark"])
def test_a_grammar_is_read_on_each_route(route, field):
    reader, body, _ = READERS[route]
    assert reader(Fields({**body, field: "abc"})).grammar == Grammar(field, "abc")
    assert reader(Fields({**body, field: None})).grammar is None
    assert reader(Fields({**body, field: ""})).grammar is None


@pytest.mark.parametrize("route", READERS)
def test_two_constraints_at_once_are_refused(route):
    reader, body, format_field = READERS[route]
    with pytest.raises(InvalidInputError, match='"grammar" and "regex"'):
        reader(Fields({**body, "grammar": "a", "regex": "b"}))
    given = {"type": "object"} if format_field == "format" else {"type": "json_object"}
    with pytest.raises(InvalidInputError, match=f'"{format_field}" and "lark"'):
        reader(Fields({**body, format_field: given, "lark": "b"}))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "field", ["guided_json", "guided_regex", "guided_choice", "structured_outputs", "ebnf", "json_schema"]
)
def test_the_constraints_of_other_servers_are_not_dropped(route, field):
    reader, body, _ = ROUTES[route]
    with pytest.raises(InvalidInputError, match=f'"{field}" is not supported; use'):
        reader(Fields({**body, field: {"a": "b"}}))


def test_the_format_of_another_api_is_not_dropped():
    with pytest.raises(InvalidInputError, match='"response_format" is not supported; use "format"'):
        chat_request(Fields({**CHAT, "response_format": {"type": "json_object"}}))
    with pytest.raises(InvalidInputError, match='"format" is not supported; use "response_format"'):
        chat_completion_request(Fields({**CHAT, "format": "json"}))


@pytest.mark.parametrize("route", ["responses", "messages"])
@pytest.mark.parametrize("field", ["grammar", "regex", "lark"])
def test_routes_without_grammars_say_so(route, field):
    reader, body, _ = ROUTES[route]
    with pytest.raises(InvalidInputError, match=f'"{field}" is not supported on this route'):
        reader(Fields({**body, field: "a"}))


def test_completions_have_a_response_format():
    body = {"model": "m", "prompt": "x", "response_format": {"type": "json_object"}}
    assert completion_request(Fields(body)).prompts[0].format == "json"
