import pytest

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.native_requests import chat_request, create_request, generate_request, read_tokens
from ollamapy.errors import InvalidInputError, OptionError
from ollamapy.types import ChatRequest, GenerateRequest, Message, ModelInfo, Options, ToolCall

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "minProperties": 1}}}


def test_a_minimal_chat_has_ollamas_defaults():
    assert chat_request(Fields({"model": "m"})) == ChatRequest(model="m")


def test_all_fields_of_a_chat_are_read():
    request = chat_request(
        Fields(
            {
                "Model": "m",
                "messages": [
                    {"ROLE": "User", "content": "hi", "images": ["aGk="]},
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"b": 1}}}],
                    },
                    {"role": "tool", "content": "ok", "tool_name": "f", "tool_call_id": "1"},
                ],
                "tools": [TOOL],
                "format": "json",
                "options": {"temperature": 0, "stop": ["x"]},
                "stream": False,
                "keep_alive": "1m",
                "think": "low",
                "truncate": False,
                "shift": False,
                "logprobs": True,
                "top_logprobs": 3,
                "_debug_render_only": True,
            }
        )
    )
    assert request.messages == (
        Message("user", "hi", images=(b"hi",)),
        Message("assistant", tool_calls=(ToolCall("f", {"b": 1}, "1", 0),)),
        Message("tool", "ok", tool_name="f", tool_call_id="1"),
    )
    assert request.tools == (TOOL,)
    assert request.options == Options(temperature=0.0, stop=("x",))
    assert (request.format, request.stream, request.keep_alive_seconds) == ("json", False, 60)
    assert (request.think, request.truncate, request.shift) == ("low", False, False)
    assert (request.logprobs, request.top_logprobs, request.render_only) == (True, 3, True)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({}, "^model is required$", id="no model"),
        pytest.param({"model": 3}, 'field "model" must be a string', id="model"),
        pytest.param({"model": "m", "messages": "x"}, 'field "messages" must be an array', id="messages"),
        pytest.param({"model": "m", "messages": ["x"]}, r'field "messages\[0\]" must be an object', id="message"),
        pytest.param({"model": "m", "messages": [{"content": [{}]}]}, "/v1/chat/completions", id="content in parts"),
        pytest.param({"model": "m", "messages": [{"images": "x"}]}, "images", id="images"),
        pytest.param({"model": "m", "messages": [{"images": ["?"]}]}, "illegal base64", id="an image"),
        pytest.param({"model": "m", "tools": [{"type": "function"}]}, r"tools\[0\].function", id="tool"),
        pytest.param(
            {"model": "m", "messages": [{"tool_calls": [{"function": {"arguments": "{}"}}]}]},
            r"messages\[0\].tool_calls\[0\].function.arguments",
            id="arguments as text",
        ),
        pytest.param({"model": "m", "options": []}, 'field "options" must be an object', id="options"),
        pytest.param({"model": "m", "stream": "yes"}, 'field "stream" must be a boolean', id="stream"),
    ],
)
def test_a_wrong_chat_is_refused(fields, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        chat_request(Fields(fields))


def test_a_bad_option_is_named():
    with pytest.raises(OptionError, match="temperature"):
        chat_request(Fields({"model": "m", "options": {"temperature": "hot"}}))


def test_a_minimal_generate_has_ollamas_defaults():
    assert generate_request(Fields({"model": "m", "prompt": "p"})) == GenerateRequest(model="m", prompt="p")


def test_a_context_must_be_token_ids():
    assert read_tokens(Fields({"context": [1, 2]}), "context") == (1, 2)
    for wrong in ([-1], [1.5], ["1"], [True], [1 << 31]):
        with pytest.raises(InvalidInputError, match="token ids"):
            read_tokens(Fields({"context": wrong}), "context")


def test_a_create_keeps_what_is_unset_apart_from_what_is_empty():
    request = create_request(
        Fields({"name": "m", "from": "b", "system": "", "license": "L", "parameters": {"top_k": 1}})
    )
    assert (request.model, request.base, request.system, request.template) == ("m", "b", "", None)
    assert request.licenses == ("L",)
    assert request.parameters == Options(top_k=1)
    assert request.files is None


def test_a_create_takes_several_licenses_and_files():
    request = create_request(Fields({"model": "m", "license": ["a", "b"], "files": {"x.gguf": "sha256:0"}}))
    assert request.licenses == ("a", "b")
    assert request.files == {"x.gguf": "sha256:0"}
    with pytest.raises(InvalidInputError, match=r"files\[x.gguf\]"):
        create_request(Fields({"model": "m", "files": {"x.gguf": 3}}))


def test_a_license_is_text_or_texts():
    with pytest.raises(InvalidInputError, match=r'^field "license" must be a string or an array of strings'):
        create_request(Fields({"model": "m", "license": 5}))


def test_what_a_create_says_of_the_model_is_read():
    info = {"capabilities": ["tools"], "Model_Family": "f", "parameter_size": "1B", "context_length": 64.0}
    expected = ModelInfo(capabilities=("tools",), model_family="f", parameter_size="1B", context_length=64)
    assert create_request(Fields({"model": "m", "info": info})).info == expected


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("context_length", -1, "a non-negative integer"),
        ("embedding_length", 1.5, "a non-negative integer"),
        ("context_length", 10**400, "a non-negative integer"),
        ("context_length", "4096", "a number"),
        ("context_length", True, "a number"),
        ("model_family", 3, "a string"),
        ("capabilities", "tools", "an array of strings"),
        ("capabilities", [1], "an array of strings"),
    ],
)
def test_what_a_create_says_of_the_model_must_have_its_type(name, value, wanted):
    with pytest.raises(InvalidInputError, match=f'^info field "{name}" must be {wanted}$'):
        create_request(Fields({"model": "m", "info": {name: value}}))
