"""Anthropic's requests to ollamapy's records.

Source: Anthropic's Messages API reference, and Ollama's `anthropic/anthropic.go` (release 0.33) for its error texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ollamapy.dialects.constraints import refuse_grammars
from ollamapy.dialects.fields import Fields, decode_base64, kind_of, parse_effort, read_keep_alive
from ollamapy.dialects.native_requests import read_tool_choice
from ollamapy.dialects.turns import with_tool_names
from ollamapy.errors import InvalidInputError
from ollamapy.options import RULES, parse_options
from ollamapy.types import ChatRequest, Json, Message, Options, Think, ToolCall

MAX_TOKENS = (1 << 31) - 1
ROLES = ("user", "assistant", "system")
EFFORTS = {"xhigh": "high"}
CHOICES: dict[str, Json] = {"auto": "auto", "any": "required", "none": "none"}
FORMAT_FIELD = "output_config.format"
IGNORED_BLOCKS = ("redacted_thinking", "server_tool_use", "web_search_tool_result")


def messages_request(fields: Fields) -> ChatRequest:
    """Read the body of /v1/messages."""
    _check_model(fields)
    tokens = fields.integer("max_tokens", -MAX_TOKENS, MAX_TOKENS)
    if tokens is None or tokens <= 0:
        raise InvalidInputError("max_tokens is required and must be positive")
    return _chat(fields, Options(num_predict=tokens).over(_options(fields)))


def count_request(fields: Fields) -> ChatRequest:
    """Read the body of /v1/messages/count_tokens."""
    _check_model(fields)
    return _chat(fields, _options(fields))


def _check_model(fields: Fields) -> None:
    if not fields.text("model").strip():
        raise InvalidInputError("model is required")


def _chat(fields: Fields, options: Options) -> ChatRequest:
    if not fields.array("messages"):
        raise InvalidInputError("messages is required")
    refuse_grammars(fields, FORMAT_FIELD)
    wanted = _wanted_format(fields)
    tools, must_call = _tools(fields)
    choice = fields.nested("tool_choice")
    return ChatRequest(
        model=fields.text("model"),
        messages=(*_system(fields), *_messages(fields)),
        tools=tools,
        must_call=must_call,
        one_call=choice is not None and choice.flag("disable_parallel_tool_use"),
        format=_schema(wanted) if wanted else None,
        format_field=wanted.path if wanted else FORMAT_FIELD,
        options=options,
        stream=fields.flag("stream"),
        keep_alive_seconds=read_keep_alive(fields),
        think=_think(fields),
        count_prompt=True,
    )


def _options(fields: Fields) -> Options:
    """Read the parameters, Ollama's beside Anthropic's."""
    given: dict[str, Json] = {name: fields.raw(name) for name in RULES if fields.raw(name) is not None}
    given.update({name: fields.number(name) for name in ("temperature", "top_p", "top_k") if name in given})
    if fields.raw("stop_sequences") is not None:
        given["stop"] = fields.texts("stop_sequences")
    return parse_options(given).over(parse_options(fields.mapping("options") or {}))


def _think(fields: Fields) -> Think:
    thinking, output = fields.nested("thinking"), fields.nested("output_config")
    effort = output.text("effort") if output else ""
    match thinking.text("type") if thinking else "":
        case "enabled":
            return True
        case "disabled":
            return False
        case "" | "adaptive" if not effort:
            return None
        case "" | "adaptive":
            text = 'field "output_config.effort" must be "low", "medium", "high", "xhigh" or "max"'
            return parse_effort(EFFORTS.get(effort, effort), text)
        case _:
            raise InvalidInputError('field "thinking.type" must be "enabled", "disabled" or "adaptive"')


def _wanted_format(fields: Fields) -> Fields | None:
    output, older = fields.nested("output_config"), fields.nested("output_format")
    wanted = output.nested("format") if output else None
    if wanted and older:
        raise InvalidInputError(f'fields "{FORMAT_FIELD}" and "output_format": an answer is held to one of them')
    return wanted or older


def _schema(wanted: Fields) -> dict[str, Json]:
    schema = wanted.mapping("schema")
    if wanted.text("type") != "json_schema" or schema is None:
        raise InvalidInputError(f'field "{wanted.path}" must have the type "json_schema" and a schema')
    return schema


def _tools(fields: Fields) -> tuple[tuple[dict[str, Json], ...], bool]:
    """Read the tools and which of them must be called, in the words of OpenAI's API that templates understand."""
    tools: Json = [_tool(tool) for tool in fields.objects("tools")]
    wanted = fields.nested("tool_choice")
    choice: Json = None
    if wanted is not None:
        kind = wanted.text("type")
        choice = {"function": {"name": wanted.text("name")}} if kind == "tool" else CHOICES.get(kind)
        if choice is None:
            raise InvalidInputError('field "tool_choice.type" must be "auto", "any", "tool" or "none"')
    return read_tool_choice(Fields({"tools": tools, "tool_choice": choice}))


def _tool(fields: Fields) -> dict[str, Json]:
    if fields.text("type") not in ("", "custom"):
        raise InvalidInputError(
            f'field "{fields.name_of("type")}": tools of the type "{fields.text("type")[:40]}" are not supported; '
            "declare a tool of your own with an input_schema"
        )
    if not fields.text("name"):
        raise InvalidInputError(f'field "{fields.name_of("name")}" must be a name')
    function: dict[str, Json] = {"name": fields.text("name")}
    if fields.text("description"):
        function["description"] = fields.text("description")
    function["parameters"] = fields.mapping("input_schema") or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _system(fields: Fields) -> tuple[Message, ...]:
    texts = _texts(fields, "system")
    return (_said("system", texts),) if any(texts) else ()


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    """Return a text, or the texts of blocks that are all text."""
    value = fields.raw(name)
    if value is None or isinstance(value, str):
        return (value or "",)
    if not isinstance(value, list):
        raise InvalidInputError(
            f'field "{fields.name_of(name)}" must be a string or an array of blocks, not {kind_of(value)}'
        )
    blocks = fields.objects(name)
    for block in blocks:
        if block.text("type") != "text":
            raise InvalidInputError(f'field "{block.name_of("type")}" must be "text"')
    return tuple(block.text("text") for block in blocks)


def _messages(fields: Fields) -> tuple[Message, ...]:
    turns = (_Turn(entry).messages() for entry in fields.objects("messages"))
    return with_tool_names(message for turn in turns for message in turn)


@dataclass(slots=True)
class _Turn:
    """One entry of `messages`, whose tool results become messages of their own, ahead of its text."""

    fields: Fields
    texts: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)

    def messages(self) -> list[Message]:
        """Read the turn."""
        role = self.fields.text("role").lower()
        if role not in ROLES:
            raise InvalidInputError(f'field "{self.fields.name_of("role")}" must be "user" or "assistant"')
        content = self.fields.raw("content")
        if isinstance(content, list):
            for block in self.fields.objects("content"):
                self._read(block)
        else:
            self.texts += _texts(self.fields, "content")
        if self.results and not (self.texts or self.images):
            return self.results
        said = _said(role, self.texts, "\n".join(self.thinking), tuple(self.images), tuple(self.calls))
        return [*self.results, said]

    def _read(self, block: Fields) -> None:
        match block.text("type"):
            case "text":
                self.texts.append(block.text("text"))
            case "thinking":
                self.thinking.append(block.text("thinking"))
            case "image":
                self.images.append(_image(block))
            case "tool_use":
                self.calls.append(_call(block, len(self.calls)))
            case "tool_result":
                self.results.append(self._result(block))
            case kind if kind not in IGNORED_BLOCKS:
                raise InvalidInputError(
                    f'field "{block.name_of("type")}": blocks of the type "{kind[:40]}" are not supported; send text'
                )

    def _result(self, block: Fields) -> Message:
        content = block.raw("content")
        images: list[bytes] = []
        if isinstance(content, list):
            parts = block.objects("content")
            images = [_image(part) for part in parts if part.text("type") == "image"]
            texts = [part.text("text") for part in parts if part.text("type") == "text"]
        else:
            texts = list(_texts(block, "content"))
        return Message(
            role="tool",
            content="\n".join(texts),
            images=tuple(images),
            tool_call_id=block.text("tool_use_id"),
        )


def _said(
    role: str,
    texts: Sequence[str],
    thinking: str = "",
    images: tuple[bytes, ...] = (),
    calls: tuple[ToolCall, ...] = (),
) -> Message:
    parts = tuple(texts) if len(texts) > 1 else ()
    return Message(role, "\n".join(texts), thinking, images, calls, parts=parts)


def _image(block: Fields) -> bytes:
    source = block.nested("source")
    kind = source.text("type") if source else ""
    if source is None or kind != "base64":
        raise InvalidInputError(f"invalid image source type: {kind[:40]}. Only base64 images are supported.")
    return decode_base64(source.text("data"), source.name_of("data"))


def _call(block: Fields, index: int) -> ToolCall:
    for name in ("id", "name"):
        if not block.text(name):
            raise InvalidInputError(f'field "{block.name_of(name)}": a tool_use block needs its id and its name')
    return ToolCall(block.text("name"), block.mapping("input") or {}, block.text("id"), index)
