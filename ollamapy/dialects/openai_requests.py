"""OpenAI's chat requests to ollamapy's records.

Source: OpenAI's chat completions reference, and Ollama's `openai/openai.go` (release 0.33) for what it maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ollamapy.dialects.constraints import read_grammar
from ollamapy.dialects.fields import Fields, decode_base64, kind_of, parse_effort, read_keep_alive, read_top_logprobs
from ollamapy.dialects.native_requests import read_tool_choice
from ollamapy.dialects.turns import with_tool_names
from ollamapy.errors import InvalidInputError
from ollamapy.options import RULES, parse_options
from ollamapy.types import ChatRequest, Json, Message, Options, Think, ToolCall

MAX_TOKENS = (1 << 31) - 1
MOST_ANSWERS = 128
MOST_BIASES = 1024
MOST_BIAS = 100
DEFAULTS = Options(temperature=1.0, top_p=1.0)
PLAIN_OPTIONS = (
    "seed", "temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k", "min_p", "repeat_penalty",
)  # fmt: skip
EFFORT_WORDS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")

_DATA_URL = re.compile(r"data:(image/(jpeg|jpg|png|webp))?;base64,", re.IGNORECASE)
_ROLES = {"developer": "system"}


@dataclass(frozen=True, slots=True)
class ChatCompletionRequest:
    """A chat, how many answers to it are wanted, and whether their stream shall end with token counts."""

    chat: ChatRequest
    include_usage: bool = False
    n: int = 1


def chat_completion_request(fields: Fields) -> ChatCompletionRequest:
    """Read the body of /v1/chat/completions."""
    model = fields.text("model")
    if not model.strip():
        raise InvalidInputError("model is required")
    if not fields.array("messages"):
        raise InvalidInputError("[] is too short - 'messages'")
    arguments = fields.mapping("chat_template_kwargs")
    tools, must_call = read_tool_choice(fields)
    stream_options = fields.nested("stream_options")
    chat = ChatRequest(
        model=model,
        messages=with_tool_names(map(_message, fields.objects("messages"))),
        tools=tools,
        format=read_response_format(fields),
        format_field="response_format",
        grammar=read_grammar(fields, "response_format"),
        options=read_options(fields),
        fallback=DEFAULTS,
        stream=fields.flag("stream"),
        keep_alive_seconds=read_keep_alive(fields),
        think=read_effort(fields, arguments or {}),
        template_arguments=arguments,
        must_call=must_call,
        one_call=not fields.flag("parallel_tool_calls", default=True),
        logprobs=fields.flag("logprobs"),
        top_logprobs=read_top_logprobs(fields),
        logit_bias=read_logit_bias(fields),
        render_only=fields.flag("_debug_render_only"),
    )
    n = fields.integer("n", 1, MOST_ANSWERS) or 1
    return ChatCompletionRequest(chat, stream_options is not None and stream_options.flag("include_usage"), n)


def read_options(fields: Fields) -> Options:
    """Read OpenAI's own parameters and Ollama's beside them, and Ollama's `options` beneath."""
    given: dict[str, Json] = {name: fields.raw(name) for name in RULES if fields.raw(name) is not None}
    given.update({name: fields.number(name) for name in PLAIN_OPTIONS if fields.raw(name) is not None})
    tokens = fields.integer("max_completion_tokens", 1, MAX_TOKENS)
    if tokens is None:
        tokens = fields.integer("max_tokens", -1, MAX_TOKENS)
    if tokens is not None:
        given["num_predict"] = tokens
    stop = fields.raw("stop")
    if stop is not None:
        if not isinstance(stop, str | list):
            raise InvalidInputError(f'field "stop" must be a string or an array of strings, not {kind_of(stop)}')
        given["stop"] = [stop] if isinstance(stop, str) else fields.texts("stop")
    return parse_options(given).over(parse_options(fields.mapping("options") or {}))


def read_logit_bias(fields: Fields) -> dict[int, float] | None:
    """Read what to add to the logits of which tokens."""
    given = fields.mapping("logit_bias")
    if not given:
        return None
    if len(given) > MOST_BIASES:
        raise InvalidInputError(f'field "logit_bias" must have at most {MOST_BIASES} tokens')
    biases: dict[int, float] = {}
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise InvalidInputError(f'field "logit_bias" must map token ids to numbers, and "{token[:20]}" is no id')
        if type(bias) not in (int, float) or not -MOST_BIAS <= bias <= MOST_BIAS:
            raise InvalidInputError(f'field "logit_bias.{token}" must be a number between -{MOST_BIAS} and {MOST_BIAS}')
        biases[int(token)] = float(bias)
    return biases


def read_response_format(fields: Fields) -> Json:
    """Read what the answer must be: None for text, "json" or a JSON schema object."""
    wanted = fields.nested("response_format")
    if wanted is None:
        return None
    match wanted.text("type"):
        case "text" | "":
            return None
        case "json_object":
            return "json"
        case "json_schema":
            outer = wanted.nested("json_schema")
            schema = outer.mapping("schema") if outer else None
            if schema is None:
                raise InvalidInputError('field "response_format.json_schema.schema" must be an object')
            return schema
        case other:
            raise InvalidInputError(
                f'field "response_format.type" must be "text", "json_object" or "json_schema", not "{other[:40]}"'
            )


def read_effort(fields: Fields, arguments: Mapping[str, Json]) -> Think:
    """Read how much to think, from `reasoning_effort`, `reasoning.effort` or a template's argument."""
    nested = fields.nested("reasoning")
    effort = fields.text("reasoning_effort") or (nested.text("effort") if nested else "")
    match effort:
        case "":
            return False if arguments.get("enable_thinking") is False else None  # True is what models do anyway
        case "none":
            return False
        case "minimal":
            return "low"
        case "xhigh" | "ultra":
            return "max"
        case _:
            words = ", ".join(f'"{word}"' for word in EFFORT_WORDS)
            return parse_effort(effort, f'invalid reasoning value: "{effort[:40]}" (must be one of {words})')


def _message(fields: Fields) -> Message:
    role = fields.text("role").lower()
    calls = tuple(read_tool_call(call, index) for index, call in enumerate(fields.objects("tool_calls")))
    texts, images = _content(fields, optional=bool(calls))
    return Message(
        role=_ROLES.get(role, role),
        content="\n".join(texts),
        thinking=fields.text("reasoning") or fields.text("reasoning_content"),
        images=images,
        tool_calls=calls,
        tool_name=fields.text("name") if role == "tool" else "",
        tool_call_id=fields.text("tool_call_id"),
        parts=texts if len(texts) > 1 else (),
    )


def _content(fields: Fields, *, optional: bool) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    value = fields.raw("content")
    if isinstance(value, str):
        return (value,), ()
    if value is None and optional:
        return (), ()
    if not isinstance(value, list):
        raise InvalidInputError(
            f'invalid message content type: field "{fields.name_of("content")}" must be a string or an array of parts, '
            f"not {kind_of(value)}"
        )
    texts, images = [], []
    for part in fields.objects("content"):
        match part.text("type"):
            case "text":
                texts.append(part.text("text"))
            case "image_url":
                images.append(read_image(part))
            case "input_audio":
                raise InvalidInputError(f'field "{part.path}": audio input is not supported; send text')
            case _:
                raise InvalidInputError(
                    f'invalid message format: field "{part.name_of("type")}" must be "text" or "image_url"'
                )
    return tuple(texts), tuple(images)


def read_image(part: Fields) -> bytes:
    """Read the image of a content part, which must be in a data URL."""
    nested = part.nested("image_url") if isinstance(part.raw("image_url"), dict) else None
    url = nested.text("url") if nested else part.text("image_url")
    if url.lower().startswith(("http://", "https://")):
        raise InvalidInputError("image URLs are not currently supported, please use base64 encoded data instead")
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidInputError(
            f'invalid image input: field "{part.name_of("image_url")}" must be a data URL of a JPEG, PNG or WebP image '
            "in base64"
        )
    return decode_base64(url[head.end() :], part.name_of("image_url"))


def read_tool_call(fields: Fields, index: int) -> ToolCall:
    """Read a call of an earlier turn, whose arguments are JSON text."""
    function = fields.nested("function")
    if function is None:
        raise InvalidInputError(f'field "{fields.name_of("function")}" must be an object')
    raw = function.raw("arguments")
    try:
        arguments = msgspec.json.decode(raw or "{}", type=dict[str, Json]) if isinstance(raw, str | None) else raw
    except (msgspec.DecodeError, RecursionError) as exc:
        raise _bad_arguments(function) from exc
    if not isinstance(arguments, dict):
        raise _bad_arguments(function)
    return ToolCall(name=function.text("name"), arguments=arguments, id=fields.text("id"), index=index)


def _bad_arguments(function: Fields) -> InvalidInputError:
    return InvalidInputError(
        f'invalid tool call arguments: field "{function.name_of("arguments")}" must be a JSON object in a string'
    )
