"""No request, however odd, is answered by anything but a record or an error that is the client's."""

import copy
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollamapy.dialects.anthropic_requests import messages_request
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai_completions import completion_request
from ollamapy.dialects.openai_requests import chat_completion_request
from ollamapy.dialects.responses_requests import response_request
from ollamapy.errors import InvalidInputError

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
IMAGE = "data:image/png;base64,aGk="
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
        },
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    "logit_bias": {"5": 1},
    "stop": ["x"],
    "stream_options": {"include_usage": True},
    "reasoning": {"effort": "low"},
    "chat_template_kwargs": {"enable_thinking": False},
    "n": 2,
    "num_ctx": 64,
}
COMPLETION = {
    "model": "m",
    "prompt": [[1, 2]],
    "logprobs": 2,
    "n": 2,
    "best_of": 2,
    "stop": "x",
    "options": {"seed": 1},
}
RESPONSE = {
    "model": "m",
    "instructions": [{"role": "system", "content": "s"}],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": IMAGE}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "t"}]},
        {"type": "item_reference", "id": "x"},
    ],
    "tools": [{"type": "namespace", "name": "s", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "top_p": 0.5,
}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "t"}]}
MESSAGE = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, USE]},
        {"role": "user", "content": [RESULT, {"type": "image", "source": {"type": "base64", "data": "aGk="}}]},
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
}
READERS = {
    "chat": (chat_completion_request, CHAT),
    "completion": (completion_request, COMPLETION),
    "response": (lambda fields: response_request(fields, {"x": RESPONSE["input"][0]}.get).with_history(()), RESPONSE),
    "message": (messages_request, MESSAGE),
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
WORDS = st.sampled_from(["f", "auto", "required", "text", "function", "x", "tool", "any", "user", "assistant", ""])
VALUES = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)


def places(value, path=()):
    """Return where everything in a JSON value stands."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in entries for found in [(*path, key), *places(inner, (*path, key))]]


def replaced(body, path, value):
    """Return the body with another value in one place."""
    changed = copy.deepcopy(body)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def shouted(value):
    """Return a JSON value with all names in upper case."""
    if isinstance(value, dict):
        return {key.upper(): shouted(inner) for key, inner in value.items()}
    return [shouted(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", READERS)
def test_the_body_that_is_changed_is_a_good_one(name):
    read, body = READERS[name]
    read(Fields(body))


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_value_of_any_kind_anywhere_is_read_or_refused(name, data):
    read, body = READERS[name]
    changed = replaced(body, data.draw(st.sampled_from(places(body))), data.draw(VALUES))
    with suppress(InvalidInputError):
        read(Fields(shouted(changed) if data.draw(st.booleans()) else changed))
