"""Tool calls that put the name before a JSON object: Mistral's, DeepSeek's, Kimi's, Solar's."""

from __future__ import annotations

import re
from collections.abc import Collection

from ollamapy.parsing.call_stream import json_head, pattern_head
from ollamapy.parsing.calls import Found, read_arguments, read_calls, read_values

_FENCE = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*(?:```\s*)?\Z", re.DOTALL)
_SOLAR = re.compile(r"[^<]*<\|tool_call:name\|>\s*([\w.:-]+)\s*<\|tool_call:args\|>\s*(?=\{)")
_MISTRAL = re.compile(r"\s*([\w.:-]+)(?:\[CALL_ID\][^\[{]*)?(?:\[ARGS\])?\s*(?=\{)")
_DEEPSEEK = re.compile(r"\s*(?:function<｜tool▁sep｜>)?([\w.:-]+)\s*(?:<｜tool▁sep｜>)?\s*(?=[{`])")
_KIMI = re.compile(r"\s*(?:functions\.)?([\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>\s*(?=\{)")

deepseek_head, kimi_head = pattern_head(_DEEPSEEK), pattern_head(_KIMI)
solar_head, _mistral_head = pattern_head(_SOLAR), pattern_head(_MISTRAL)


def mistral_head(body: str) -> tuple[str, int] | None:
    """Find the arguments of a call in either of Mistral's forms."""
    return _mistral_head(body) or json_head(body)


def read_mistral(body: str, declared: Collection[str]) -> list[Found] | None:
    """Read `name[ARGS]{…}`, or the older JSON list."""
    return _read_named(_MISTRAL, body) or read_calls(body, declared)


def read_deepseek(body: str) -> list[Found] | None:
    """Read `name<｜tool▁sep｜>{…}`, or the older form with `function` in front and a fence around the JSON."""
    return _read_named(_DEEPSEEK, body)


def read_kimi(body: str) -> list[Found] | None:
    """Read `functions.name:0<|tool_call_argument_begin|>{…}`."""
    return _read_named(_KIMI, body)


def read_solar(body: str) -> list[Found] | None:
    """Read `id<|tool_call:name|>name<|tool_call:args|>{…}`."""
    return _read_named(_SOLAR, body)


def read_fenced(body: str, declared: Collection[str]) -> list[Found] | None:
    """Read JSON calls, perhaps in a code fence."""
    return read_calls(_unfence(body), declared)


def _unfence(text: str) -> str:
    match = _FENCE.match(text)
    return match[1] if match else text


def _read_named(pattern: re.Pattern[str], body: str) -> list[Found] | None:
    match = pattern.match(body)
    if match is None:
        return None
    values = read_values(_unfence(body[match.end() :]))
    arguments = read_arguments(values[0]) if values is not None and len(values) == 1 else None
    return None if arguments is None else [Found(match[1], arguments)]
