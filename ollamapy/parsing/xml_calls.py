"""Tool calls that are written in XML-like tags: Qwen3-Coder's and MiniMax's functions, GLM's key and value pairs."""

from __future__ import annotations

import re

from ollamapy.parsing.calls import Found, read_arguments, read_calls, read_values
from ollamapy.parsing.schemas import Declared, convert_text
from ollamapy.types import Json

_PREFIX = re.compile(r"(</?)(?:｜DSML｜|atem:|minimax:)")
_FUNCTION = re.compile(r'<(function|invoke)(?:=|\s+name=)["\']?([^"\'>\n]+)["\']?\s*>(.*?)</\1>', re.DOTALL)
_PARAMETER = re.compile(
    r'<parameter(?:=|\s+name=)["\']?([^"\'>\n]+)["\']?(?:\s+string="(true|false)")?\s*>'
    r"(.*?)(?:</parameter>|(?=<parameter[=\s])|\Z)",
    re.DOTALL,
)
_PAIR = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*", re.DOTALL)
_NAME = re.compile(r"\s*([\w.:-]+)\s*")


def read_tagged(body: str, declared: Declared) -> list[Found] | None:
    """Read what stands between `<tool_call>` tags: JSON, functions with parameters, or a name with pairs."""
    if body.lstrip()[:1] in ("{", "["):
        return read_calls(body, declared)
    return read_functions(body, declared) or read_pairs(body, declared)


def read_functions(body: str, declared: Declared) -> list[Found] | None:
    """Read `<function=name><parameter=key>value</parameter></function>`, in any of its spellings, or several."""
    body = _PREFIX.sub(r"\1", body)
    found: list[Found] = []
    for match in _FUNCTION.finditer(body):
        name = match[2].strip()
        arguments = _read_parameters(name, match[3], declared)
        if arguments is None:
            return None
        found.append(Found(name, arguments))
    return found if found and not _FUNCTION.sub("", body).strip() else None


def _read_parameters(name: str, body: str, declared: Declared) -> dict[str, Json] | None:
    if body.lstrip().startswith("{"):
        values = read_values(body)
        return read_arguments(values[0]) if values and len(values) == 1 else None
    if _PARAMETER.sub("", body).strip():
        return None
    types = declared.get(name, {})
    return {m[1].strip(): _value(m[3], types.get(m[1].strip(), ()), m[2]) for m in _PARAMETER.finditer(body)}


def _value(text: str, types: tuple[str, ...], is_text: str | None) -> Json:
    if is_text is not None:
        return text if is_text == "true" else convert_text(text, ())
    text = text.removeprefix("\n").removesuffix("\n")
    return convert_text(text, types)


def read_function_tail(body: str, declared: Declared) -> list[Found] | None:
    """Read a function whose opening `<function=` is gone."""
    return read_functions(f"<function={body}</function>", declared)


def read_pairs(body: str, declared: Declared) -> list[Found] | None:
    """Read GLM's form: a name, then `<arg_key>` and `<arg_value>` in turn; a name alone has to be declared."""
    match = _NAME.match(body)
    if match is None:
        return None
    name, at = match[1], match.end()
    types = declared.get(name, {})
    arguments: dict[str, Json] = {}
    while pair := _PAIR.match(body, at):
        key, text = pair[1].strip(), pair[2].removeprefix("\n").removesuffix("\n")
        arguments[key] = convert_text(text, types.get(key, ()))
        at = pair.end()
    return [Found(name, arguments)] if at == len(body) and (arguments or name in declared) else None
