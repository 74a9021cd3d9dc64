"""Requests of OpenAI's Responses API to ollamapy's records.

Source: OpenAI's responses reference, and Ollama's `openai/responses.go` (release 0.33) for its error texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ollamapy.dialects.constraints import refuse_grammars
from ollamapy.dialects.fields import MAX_TOP_LOGPROBS, Fields, kind_of, read_keep_alive
from ollamapy.dialects.native_requests import read_tool_choice
from ollamapy.dialects.openai_requests import (
    DEFAULTS,
    MAX_TOKENS,
    read_effort,
    read_image,
    read_logit_bias,
    read_options,
    read_tool_call,
)
from ollamapy.dialects.turns import with_tool_names
from ollamapy.errors import InvalidInputError
from ollamapy.types import ChatRequest, Json, Message, Options, ToolCall

LOGPROBS = "message.output_text.logprobs"
ROLES = {"developer": "system"}
IGNORED_ITEMS = ("web_search_call",)
TRUNCATIONS = ("", "auto", "disabled")

FindItem = Callable[[str], dict[str, Json] | None]


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A turn of a conversation: `chat` has the messages of this turn alone; `echo` is repeated in the answer."""

    chat: ChatRequest
    instructions: str = ""
    previous_id: str = ""
    is_kept: bool = True
    echo: Mapping[str, Json] = field(default_factory=dict)

    def with_history(self, history: Sequence[Message]) -> ChatRequest:
        """Return the whole chat: the instructions, what was said before, and this turn."""
        system = (Message("system", self.instructions),) if self.instructions else ()
        return replace(self.chat, messages=(*system, *with_tool_names([*history, *self.chat.messages])))


def response_request(fields: Fields, find_item: FindItem) -> ResponseRequest:
    """Read the body of /v1/responses; `find_item` returns an item of an earlier answer by its id, None if unknown."""
    if not fields.text("model").strip():
        raise InvalidInputError("model is required")
    if fields.raw("conversation") is not None:
        raise InvalidInputError('field "conversation": no conversations are kept here; use previous_response_id')
    if fields.flag("background"):
        raise InvalidInputError('field "background": answers only run while their client waits; leave it out')
    if fields.text("truncation") not in TRUNCATIONS:
        raise InvalidInputError('field "truncation" must be "auto" or "disabled"')
    refuse_grammars(fields, "text.format")
    tools, must_call = _tools(fields)
    top_logprobs = fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS) or 0
    chat = ChatRequest(
        model=fields.text("model"),
        messages=_input(fields, find_item),
        tools=tools,
        must_call=must_call,
        one_call=not fields.flag("parallel_tool_calls", default=True),
        format=_format(fields),
        format_field="text.format",
        options=_options(fields),
        fallback=DEFAULTS,
        stream=fields.flag("stream"),
        keep_alive_seconds=read_keep_alive(fields),
        think=read_effort(fields, {}),
        truncate=fields.text("truncation") == "auto",
        logprobs=LOGPROBS in fields.texts("include") or top_logprobs > 0,
        top_logprobs=top_logprobs,
        logit_bias=read_logit_bias(fields),
    )
    return ResponseRequest(
        chat=chat,
        instructions=_instructions(fields),
        previous_id=fields.text("previous_response_id"),
        is_kept=fields.flag("store", default=True),
        echo=_echo(fields),
    )


def _options(fields: Fields) -> Options:
    tokens = fields.integer("max_output_tokens", 1, MAX_TOKENS)
    return Options(num_predict=tokens).over(read_options(fields))


def _instructions(fields: Fields) -> str:
    if isinstance(fields.raw("instructions"), list):
        messages = _Items(fields.objects("instructions"), lambda _: None).messages
        return "\n".join(message.content for message in messages)
    return fields.text("instructions")


def _format(fields: Fields) -> Json:
    text = fields.nested("text")
    wanted = text.nested("format") if text else None
    if wanted is None:
        return None
    match wanted.text("type"):
        case "text" | "":
            return None
        case "json_object":
            return "json"
        case "json_schema" if wanted.mapping("schema") is not None:
            return wanted.mapping("schema")
        case "json_schema":
            raise InvalidInputError('field "text.format.schema" must be an object')
        case other:
            raise InvalidInputError(
                f'field "text.format.type" must be "text", "json_object" or "json_schema", not "{other[:40]}"'
            )


def _tools(fields: Fields) -> tuple[tuple[dict[str, Json], ...], bool]:
    """Read the functions and which of them must be called; tools that OpenAI itself would run are left out."""
    tools: Json = [function for tool in fields.objects("tools") for function in _functions(tool, "")]
    choice = fields.raw("tool_choice")
    wanted = fields.nested("tool_choice") if isinstance(choice, dict) else None
    if wanted is not None and wanted.text("type") == "function" and wanted.text("name"):
        choice = {"function": {"name": wanted.text("name")}}
    elif wanted is not None and wanted.text("type") == "allowed_tools":
        names = {tool.text("name") for tool in wanted.objects("tools")}
        tools = [tool for tool in tools if tool["function"]["name"] in names]
        choice = wanted.text("mode") or "auto"
    return read_tool_choice(Fields({"tools": tools, "tool_choice": choice}))


def _functions(tool: Fields, space: str) -> list[dict[str, Json]]:
    if tool.text("type") == "namespace":
        inner = tool.objects("tools")
        return [function for member in inner for function in _functions(member, f"{tool.text('name')}.")]
    if tool.text("type") != "function":
        return []
    if not tool.text("name"):
        raise InvalidInputError(f'field "{tool.name_of("name")}" must be a name')
    function: dict[str, Json] = {"name": space + tool.text("name")}
    if tool.text("description"):
        function["description"] = tool.text("description")
    function["parameters"] = tool.mapping("parameters") or {"type": "object", "properties": {}}
    return [{"type": "function", "function": function}]


def _input(fields: Fields, find_item: FindItem) -> tuple[Message, ...]:
    value = fields.raw("input")
    if isinstance(value, str):
        return (Message("user", value),)
    if not isinstance(value, list) or not value:
        raise InvalidInputError(f'field "input" must be a string or an array that is not empty, not {kind_of(value)}')
    return tuple(_Items(fields.objects("input"), find_item).messages)


class _Items:
    """Turns the items of an input into messages: thoughts, words and calls that follow each other are one turn."""

    def __init__(self, items: Sequence[Fields], find_item: FindItem) -> None:
        self.messages: list[Message] = []
        self._find_item = find_item
        self._thinking = ""
        self._can_add = False
        for item in items:
            self._read(item)

    def _read(self, item: Fields) -> None:
        match item.text("type") or _kind(item):
            case "message":
                self._add_message(item)
            case "function_call":
                self._add_call(item)
            case "function_call_output":
                texts, images = _content(item, "output")
                self._append(Message("tool", "\n".join(texts), images=images, tool_call_id=item.text("call_id")))
            case "reasoning":
                self._thinking = _thought(item)
                self._can_add = False
            case "item_reference":
                self._read(self._referred(item))
            case kind if kind not in IGNORED_ITEMS:
                raise InvalidInputError(f'unknown input item type: "{kind[:40]}"')

    def _referred(self, reference: Fields) -> Fields:
        item = self._find_item(reference.text("id"))
        if item is None:
            raise InvalidInputError(
                f"Item with id '{reference.text('id')[:80]}' not found: responses are kept in memory, and only the "
                "last ones; send the item itself"
            )
        return Fields(item, reference.path)

    def _append(self, message: Message) -> None:
        self.messages.append(message)
        self._can_add = message.role == "assistant"

    def _add_message(self, item: Fields) -> None:
        role = item.text("role").lower()
        texts, images = _content(item, "content")
        parts = texts if len(texts) > 1 else ()
        thinking = self._take_thinking() if role == "assistant" else ""
        self._append(Message(ROLES.get(role, role), "\n".join(texts), thinking, images, parts=parts))

    def _add_call(self, item: Fields) -> None:
        last = self.messages[-1] if self._can_add else None
        function = {"name": item.text("name"), "arguments": item.raw("arguments")}
        fields = Fields({"function": function, "id": item.text("call_id")}, item.path)
        call: ToolCall = read_tool_call(fields, len(last.tool_calls) if last else 0)
        if last is None:
            self._append(Message("assistant", thinking=self._take_thinking(), tool_calls=(call,)))
        else:
            self.messages[-1] = replace(last, tool_calls=(*last.tool_calls, call))

    def _take_thinking(self) -> str:
        thinking, self._thinking = self._thinking, ""
        return thinking


def _kind(item: Fields) -> str:
    """Return what an item is that does not say so."""
    if item.raw("role") is not None:
        return "message"
    return "item_reference" if item.raw("id") is not None else ""


def _thought(item: Fields) -> str:
    if item.text("encrypted_content"):
        return item.text("encrypted_content")
    return "\n".join(part.text("text") for part in item.objects("summary") or item.objects("content"))


def _content(fields: Fields, name: str) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    value = fields.raw(name)
    if isinstance(value, str):
        return (value,), ()
    if not isinstance(value, list):
        raise InvalidInputError(
            f'field "{fields.name_of(name)}" must be a string or an array of parts, not {kind_of(value)}'
        )
    texts: list[str] = []
    images: list[bytes] = []
    for part in fields.objects(name):
        match part.text("type"):
            case "input_text" | "output_text" | "text" | "summary_text":
                texts.append(part.text("text"))
            case "refusal":
                texts.append(part.text("refusal"))
            case "input_image" if part.raw("image_url") is not None:
                images.append(read_image(part))
            case "input_file":
                raise InvalidInputError(f'field "{part.path}": file inputs are not currently supported')
            case kind:
                raise InvalidInputError(
                    f'field "{part.name_of("type")}": parts of the type "{kind[:40]}" are not supported; send text'
                )
    return tuple(texts), tuple(images)


def _echo(fields: Fields) -> dict[str, Json]:
    """Return what an answer repeats of its request."""
    nested = fields.nested("reasoning")
    text = fields.mapping("text") or {}
    return {
        "background": False,
        "instructions": fields.raw("instructions"),
        "max_output_tokens": fields.raw("max_output_tokens"),
        "max_tool_calls": fields.raw("max_tool_calls"),
        "metadata": fields.mapping("metadata") or {},
        "parallel_tool_calls": fields.flag("parallel_tool_calls", default=True),
        "previous_response_id": fields.raw("previous_response_id"),
        "reasoning": {
            "effort": nested.raw("effort") if nested else None,
            "summary": nested.raw("summary") if nested else None,
        },
        "service_tier": "default",
        "store": fields.flag("store", default=True),
        "temperature": 1.0 if fields.raw("temperature") is None else fields.number("temperature"),
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": fields.raw("tool_choice") or "auto",
        "tools": fields.array("tools"),
        "top_logprobs": fields.raw("top_logprobs") or 0,
        "top_p": 1.0 if fields.raw("top_p") is None else fields.number("top_p"),
        "truncation": fields.text("truncation") or "disabled",
        "user": fields.raw("user"),
    }
