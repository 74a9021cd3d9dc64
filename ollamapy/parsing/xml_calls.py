"""Tool calls that are written in XML-like tags: Qwen3-Coder's and MiniMax's functions, GLM's key and value pairs."""

from __future__ import annotations

import re

from ollamapy.parsing.call_stream import pattern_head
from ollamapy.parsing.calls import Found, read_arguments, read_calls, read_values
from ollamapy.parsing.schemas import Declared, convert_text
from ollamapy.types import Json

_PREFIX = re.compile(r"(</?)(?:｜DSML｜|atem:|minimax:)")
_FUNCTION = re.compile(r'<(function|invoke)(?:=|\s+name=)["\']?([^"\'>\n]+)["\']?\s*>(.*?)</\1>', re.DOTALL)
_PARAMETER = re.compile(
    r'<(?:parameter|param)(?:=|\s+name=)["\']?([^"\'>\n]+)["\']?(?:\s+string="(true|false)")?\s*>'
    r"(?:<!\[CDATA\[(.*?)\]\]></param>|(.*?)(?:</parameter>|</param>|(?=<(?:parameter|param)[=\s])|\Z))",
    re.DOTALL,
)
_ELEMENT = re.compile(r"<(/?)([^>\n]+)>")
_INVOKE = re.compile(r'invoke name="([^"]+)"')
MINIMAX_MARK = "]<]minimax[>["
MAX_NESTING = 50
_PAIR = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*", re.DOTALL)
_NAME = re.compile(r"\s*([\w.:-]+)\s*")

function_head = pattern_head(re.compile(r"\s*([\w.:-]+)\s*>\s*(?=\{)"))  # of `name>{...}`


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
    found = ((match[1].strip(), match) for match in _PARAMETER.finditer(body))
    return {key: _value(m[4], types.get(key, ()), m[2]) if m[3] is None else m[3] for key, m in found}


def _value(text: str, types: tuple[str, ...], is_text: str | None) -> Json:
    if is_text is not None:
        return text if is_text == "true" else convert_text(text, ())
    text = text.removeprefix("\n").removesuffix("\n")
    return convert_text(text, types)


def read_function_tail(body: str, declared: Declared) -> list[Found] | None:
    """Read a function whose opening `<function=` is gone."""
    return read_functions(f"<function={body}</function>", declared)


def read_named_function_tail(body: str, declared: Declared) -> list[Found] | None:
    """Read a function whose opening `<function name=` is gone."""
    return read_functions(f"<function name={body}</function>", declared)


def read_hunyuan(body: str, declared: Declared) -> list[Found] | None:
    """Read Hunyuan's form: GLM's, with a mark behind the name and a suffix on each tag."""
    return read_pairs(body.replace(":opensource>", ">").replace("<tool_sep>", "\n", 1), declared)


def read_minimax(body: str, declared: Declared) -> list[Found] | None:
    """Read MiniMax M3's functions: elements within elements, a mark before each of their tags."""
    head, *parts = body.split(MINIMAX_MARK)
    reader = _ElementReader(declared)
    if head.strip() or not all(map(reader.take, parts)) or reader.is_open:
        return None
    return reader.found or None


class _ElementReader:
    """Builds calls from the tags of invokes; their elements are text, objects, or lists of items."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._open: list[tuple[str, str, list[tuple[str, Json]]]] = []  # tag, text behind it, elements in it
        self.found: list[Found] = []

    @property
    def is_open(self) -> bool:
        """Whether a closing tag is missing."""
        return bool(self._open)

    def take(self, part: str) -> bool:
        """Take a tag and the text up to the next one; False if it does not belong here."""
        tag = _ELEMENT.match(part)
        if tag is None:
            return False
        text = part[tag.end() :]
        if tag[1]:
            return not text.strip() and bool(self._open) and self._close(tag[2])
        self._open.append((tag[2], text, []))
        return len(self._open) <= MAX_NESTING and (len(self._open) > 1 or _INVOKE.fullmatch(tag[2]) is not None)

    def _close(self, name: str) -> bool:
        tag, text, elements = self._open.pop()
        if not self._open:
            invoke = _INVOKE.fullmatch(tag)
            self.found.append(Found(invoke[1] if invoke else tag, dict(elements)))
            return name == "invoke"
        self._open[-1][2].append((tag, self._value(tag, text, elements)))
        return name == tag

    def _value(self, tag: str, text: str, elements: list[tuple[str, Json]]) -> Json:
        if elements:
            is_list = all(key == "item" for key, _ in elements)
            return [value for _, value in elements] if is_list else dict(elements)
        invoke = _INVOKE.fullmatch(self._open[0][0])
        types = self._declared.get(invoke[1], {}) if invoke and len(self._open) == 1 else {}
        return convert_text(text, types.get(tag, ()))


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
