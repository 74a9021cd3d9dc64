"""Messages and tools as Ollama's Go templates see them: records with Go's field names, user text covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from ollamapy.template.control import Cover
from ollamapy.template.go.jsontext import json_text
from ollamapy.template.go.values import Boxed, Function, Map, Slice, Struct, Value
from ollamapy.types import Json, Message, ToolCall

_TYPESCRIPT = {
    "string": "string", "number": "number", "integer": "number", "boolean": "boolean", "array": "any[]",
    "object": "Record<string, any>", "null": "null",
}  # fmt: skip
_EXACT_INTEGERS = 1 << 53


def message_record(message: Message, cover: Cover) -> Struct:
    """Return a message with Go's field names."""
    calls = [_call_record(call, cover) for call in message.tool_calls]
    # a role is a template's word, so only whole control tokens in it are covered
    role = cover.text(message.role, edges=False)
    texts = {
        "Content": cover.text(message.content),
        "Thinking": cover.text(message.thinking),
        "ToolName": cover.text(message.tool_name),
        "ToolCallID": cover.text(message.tool_call_id),
    }
    images = Slice("[]api.ImageData", message.images)
    fields = {"Role": role, **texts, "Images": images, "ToolCalls": Slice("[]api.ToolCall", calls)}
    json: dict[str, Value] = {"role": role, "content": texts["Content"]}
    named = [("thinking", "Thinking"), ("tool_name", "ToolName"), ("tool_call_id", "ToolCallID")]
    json |= {key: texts[name] for key, name in named if texts[name]}
    json |= {"images": list(message.images)} if message.images else {}
    json |= {"tool_calls": calls} if calls else {}
    return Struct("*api.Message", fields, json)


def _call_record(call: ToolCall, cover: Cover) -> Struct:
    arguments = any_map("api.ToolCallFunctionArguments", call.arguments, cover)
    name = cover.text(call.name)
    function = Struct(
        "api.ToolCallFunction",
        {"Index": call.index, "Name": name, "Arguments": arguments},
        {"index": call.index, "name": name, "arguments": arguments},
    )
    call_id = cover.text(call.id)
    json = {"id": call_id, "function": function} if call_id else {"function": function}
    return Struct("api.ToolCall", {"ID": call_id, "Function": function}, json)


def any_map(type_name: str, value: Mapping[str, Json], cover: Cover) -> Map:
    """Return a JSON object as a map that prints as JSON."""
    items = {key: _plain(item) for key, item in cover.value(value).items()}
    return Map(type_name, items, lambda: json_text(items))


def _plain(value: Json) -> Value:
    """Return a JSON value as Go decodes it, where every number is a float64 as far as it is exact."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT_INTEGERS:
        return float(value)
    return value


def tool_records(tools: Sequence[Mapping[str, Json]], cover: Cover) -> Slice:
    """Return the tools of a request; the list and each of its parts print as JSON."""
    records = [_tool_record(_plain(cover.value(tool))) for tool in tools]
    return Slice("api.Tools", records, lambda: json_text(records))


def _printing(type_name: str, fields: Mapping[str, Value], json: Mapping[str, Value]) -> Struct:
    return Struct(type_name, fields, json, text=lambda: json_text(Struct(type_name, {}, json)))


def _tool_record(tool: Mapping[str, Json]) -> Struct:
    kind, items = _text(tool.get("type")), tool.get("items")
    function = _function_record(_object(tool.get("function")))
    json = {"type": kind, **({} if items is None else {"items": items}), "function": function}
    return _printing("api.Tool", {"Type": kind, "Items": Boxed(items), "Function": function}, json)


def _function_record(function: Mapping[str, Json]) -> Struct:
    name, description = _text(function.get("name")), _text(function.get("description"))
    given = _object(function.get("parameters"))
    kind, required = _text(given.get("type")), _texts(given.get("required"))
    properties = _property_map(given.get("properties"))
    json: dict[str, Value] = {"type": kind}
    json |= {key: given[key] for key in ("$defs", "items") if given.get(key) is not None}
    json |= {"required": required} if required else {}
    json["properties"] = properties
    fields = {
        "Type": kind,
        "Defs": Boxed(given.get("$defs")),
        "Items": Boxed(given.get("items")),
        "Required": Slice("[]string", required),
        "Properties": properties,
    }
    parameters = _printing("api.ToolFunctionParameters", fields, json)
    return _printing(
        "api.ToolFunction",
        {"Name": name, "Description": description, "Parameters": parameters},
        {"name": name, **({"description": description} if description else {}), "parameters": parameters},
    )


def _property_map(properties: Json) -> Map:
    records = {key: _property_record(_object(item)) for key, item in _object(properties).items()}
    return Map("map[string]api.ToolProperty", records, lambda: json_text(Map("", records)))


def _property_record(given: Mapping[str, Json]) -> Struct:
    any_of = [_property_record(_object(item)) for item in _list(given.get("anyOf"))]
    kinds = [given["type"]] if _is_text(given.get("type")) else _texts(given.get("type"))
    enum, required = _list(given.get("enum")), _texts(given.get("required"))
    description, items = _text(given.get("description")), given.get("items")
    properties = _property_map(given.get("properties"))
    json: dict[str, Value] = {"anyOf": any_of} if any_of else {}
    json |= {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    json |= {} if items is None else {"items": items}
    json |= {"description": description} if description else {}
    json |= {"enum": enum} if enum else {}
    json |= {"properties": properties} if properties.items else {}
    json |= {"required": required} if required else {}
    fields = {
        "AnyOf": Slice("[]api.ToolProperty", any_of),
        "Type": Slice("api.PropertyType", kinds, lambda: " ".join(kinds) if len(kinds) < 2 else f"[{' '.join(kinds)}]"),
        "Items": Boxed(items),
        "Description": description,
        "Enum": enum,
        "Properties": properties,
        "Required": Slice("[]string", required),
    }
    methods = {"ToTypeScriptType": Function((), lambda: typescript_type(record))}
    record = Struct("api.ToolProperty", fields, json, methods)
    return record


def typescript_type(value: Value) -> str:
    """Return the TypeScript type of a tool's property; `any` for anything else."""
    if not isinstance(value, Struct) or value.type_name != "api.ToolProperty":
        return "any"
    if value.fields["AnyOf"].items:
        return " | ".join(typescript_type(item) for item in value.fields["AnyOf"].items)
    return " | ".join(_TYPESCRIPT.get(kind, "any") for kind in value.fields["Type"].items) or "any"


def _is_text(value: Json) -> TypeGuard[str]:
    return isinstance(value, str)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Json) -> list[str]:
    return [item for item in _list(value) if isinstance(item, str)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
