"""Ollama's own requests to ollamapy's records.

Source: Ollama's `api/types.go` (release 0.33).
"""

from __future__ import annotations

from ollamapy.dialects.constraints import read_grammar
from ollamapy.dialects.fields import (
    MAX_SAFE_INTEGER,
    Fields,
    decode_base64,
    kind_of,
    read_format,
    read_keep_alive,
    read_think,
    read_top_logprobs,
)
from ollamapy.dialects.turns import with_tool_names
from ollamapy.errors import InvalidInputError
from ollamapy.options import parse_kept_options, parse_options
from ollamapy.types import (
    ChatRequest,
    CreateRequest,
    GenerateRequest,
    Json,
    Message,
    ModelInfo,
    Options,
    ToolCall,
    TransferRequest,
)

MAX_CONTEXT_TOKENS = 1 << 22  # of a `context` that a client sends back


def model_name(fields: Fields) -> str:
    """Return the model that a request names, in `model` or in the older `name`."""
    return fields.text("model") or fields.text("name")


def chat_request(fields: Fields) -> ChatRequest:
    """Read the body of /api/chat."""
    if not fields.text("model").strip():
        raise InvalidInputError("model is required")
    tools, must_call = read_tool_choice(fields)
    return ChatRequest(
        messages=read_messages(fields),
        tools=tools,
        must_call=must_call,
        **_common(fields),
    )


def generate_request(fields: Fields) -> GenerateRequest:
    """Read the body of /api/generate."""
    return GenerateRequest(
        prompt=fields.text("prompt"),
        suffix=fields.text("suffix"),
        system=fields.text("system") or None,
        template=fields.text("template") or None,
        context=read_tokens(fields, "context"),
        raw=fields.flag("raw"),
        images=_images(fields),
        **_common(fields),
    )


def _common(fields: Fields) -> dict[str, Json]:
    """Read what both kinds of request may say."""
    return {
        "model": fields.text("model"),
        "format": read_format(fields),
        "grammar": read_grammar(fields, "format"),
        "options": _options(fields),
        "stream": fields.flag("stream", default=True),
        "keep_alive_seconds": read_keep_alive(fields),
        "think": read_think(fields),
        "truncate": fields.flag("truncate", default=True),
        "shift": fields.flag("shift", default=True),
        "logprobs": fields.flag("logprobs"),
        "top_logprobs": read_top_logprobs(fields),
        "render_only": fields.flag("_debug_render_only"),
    }


def create_request(fields: Fields) -> CreateRequest:
    """Read the body of /api/create."""
    parameters = fields.mapping("parameters")
    return CreateRequest(
        model=model_name(fields),
        base=fields.text("from"),
        files=_digests(fields, "files"),
        adapters=_digests(fields, "adapters"),
        draft_files=_digests(fields, "draft_files"),
        template=fields.optional_text("template"),
        system=fields.optional_text("system"),
        licenses=_licenses(fields),
        parameters=None if parameters is None else parse_kept_options(parameters),
        messages=read_messages(fields),
        renderer=fields.text("renderer"),
        parser=fields.text("parser"),
        requires=fields.text("requires"),
        quantize=fields.text("quantize") or fields.text("quantization"),
        draft_quantize=fields.text("draft_quantize"),
        info=_info(fields),
        stream=fields.flag("stream", default=True),
    )


def transfer_request(fields: Fields) -> TransferRequest:
    """Read the body of /api/pull and /api/push."""
    return TransferRequest(
        model=model_name(fields), insecure=fields.flag("insecure"), stream=fields.flag("stream", default=True)
    )


def read_messages(fields: Fields) -> tuple[Message, ...]:
    """Read a chat's turns."""
    return with_tool_names(map(_message, fields.objects("messages")))


def read_tools(fields: Fields) -> tuple[dict[str, Json], ...]:
    """Read the tools, which stay as they are but for the case of these two names, so that a template may use it all."""
    tools: list[dict[str, Json]] = []
    for given, tool in zip(fields.array("tools"), fields.objects("tools"), strict=True):
        function = tool.nested("function")
        if function is None or not function.text("name"):
            raise InvalidInputError(f'field "{tool.name_of("function")}" must be an object with a name')
        tools.append(_renamed(given, "function", _renamed(tool.raw("function"), "name", function.text("name"))))
    return tuple(tools)


def read_tool_choice(fields: Fields) -> tuple[tuple[dict[str, Json], ...], bool]:
    """Read the tools that the model may see, one alone if `tool_choice` names it, and whether it must call one."""
    tools = read_tools(fields)
    choice = fields.raw("tool_choice")
    if choice in (None, "auto", "none"):
        return (() if choice == "none" else tools), False
    wanted = fields.nested("tool_choice") if isinstance(choice, dict) else None
    function = wanted.nested("function") if wanted else None
    if function is None and choice != "required":
        raise InvalidInputError('field "tool_choice" must be "none", "auto", "required" or name a function')
    if function is not None:
        tools = tuple(tool for tool in tools if tool["function"]["name"] == function.text("name"))
        if not tools:
            name = function.text("name")[:40]
            raise InvalidInputError(f'field "tool_choice" names "{name}", which is not among the tools')
    if not tools:
        raise InvalidInputError('field "tool_choice" demands a call, but there are no tools')
    return tools, True


def read_tokens(fields: Fields, name: str) -> tuple[int, ...]:
    """Read an array of token ids."""
    tokens = fields.array(name)
    if len(tokens) > MAX_CONTEXT_TOKENS:
        raise InvalidInputError(f'field "{name}" must have at most {MAX_CONTEXT_TOKENS} tokens')
    for token in tokens:
        if type(token) is not int or not 0 <= token < 1 << 31:
            raise InvalidInputError(f'field "{name}" must be an array of token ids')
    return tuple(tokens)


def _renamed(given: dict[str, Json], name: str, value: Json) -> dict[str, Json]:
    """Return an object with a value under this name in lower case, in the place of any other case."""
    if name in given:
        return {**given, name: value}
    return {name if key.lower() == name else key: value if key.lower() == name else old for key, old in given.items()}


def _message(fields: Fields) -> Message:
    if isinstance(fields.raw("content"), list):
        raise InvalidInputError(
            f'field "{fields.name_of("content")}" must be a string, not an array; lists of parts are understood by '
            "/v1/chat/completions, and images go into the message's images field"
        )
    calls = fields.objects("tool_calls")
    return Message(
        role=fields.text("role").lower(),
        content=fields.text("content"),
        thinking=fields.text("thinking"),
        images=_images(fields),
        tool_calls=tuple(_tool_call(call, index) for index, call in enumerate(calls)) if calls else (),
        tool_name=fields.text("tool_name"),
        tool_call_id=fields.text("tool_call_id"),
    )


def _tool_call(fields: Fields, index: int) -> ToolCall:
    function = fields.nested("function")
    if function is None:
        raise InvalidInputError(f'field "{fields.name_of("function")}" must be an object')
    given = function.integer("index", 0, 1 << 31)
    return ToolCall(
        name=function.text("name"),
        arguments=function.mapping("arguments") or {},
        id=fields.text("id"),
        index=index if given is None else given,
    )


def _images(fields: Fields) -> tuple[bytes, ...]:
    if fields.raw("images") is None:
        return ()
    return tuple(
        decode_base64(text, fields.name_of(f"images[{index}]")) for index, text in enumerate(fields.texts("images"))
    )


def _options(fields: Fields) -> Options:
    return parse_options(fields.mapping("options") or {})


def _digests(fields: Fields, name: str) -> dict[str, str] | None:
    files = fields.mapping(name)
    for path, digest in (files or {}).items():
        if not isinstance(digest, str):
            raise InvalidInputError(f'field "{name}[{path}]" must be a digest')
    return files


def _licenses(fields: Fields) -> tuple[str, ...]:
    value = fields.raw("license")
    if isinstance(value, str):
        return (value,) if value else ()
    if value is not None and not isinstance(value, list):
        raise InvalidInputError(f'field "license" must be a string or an array of strings, not {kind_of(value)}')
    return tuple(fields.texts("license"))


def _info(fields: Fields) -> ModelInfo:
    info = fields.nested("info")
    if info is None:
        return ModelInfo()
    capabilities = info.raw("capabilities") or []
    if not isinstance(capabilities, list) or not all(isinstance(word, str) for word in capabilities):
        raise _info_error("capabilities", "an array of strings")
    return ModelInfo(
        capabilities=tuple(capabilities),
        model_family=_info_text(info, "model_family"),
        base_name=_info_text(info, "base_name"),
        quantization_level=_info_text(info, "quantization_level"),
        parameter_size=_info_text(info, "parameter_size"),
        context_length=_info_count(info, "context_length"),
        embedding_length=_info_count(info, "embedding_length"),
    )


def _info_text(info: Fields, name: str) -> str:
    value = info.raw(name)
    if value is not None and not isinstance(value, str):
        raise _info_error(name, "a string")
    return value or ""


def _info_count(info: Fields, name: str) -> int:
    value = info.raw(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _info_error(name, "a number")
    if value != int(value) or not 0 <= value <= MAX_SAFE_INTEGER:
        raise _info_error(name, "a non-negative integer")
    return int(value)


def _info_error(name: str, wanted: str) -> InvalidInputError:
    return InvalidInputError(f'info field "{name}" must be {wanted}')
