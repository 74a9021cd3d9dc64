"""Tool calls of Gemma 4 and FunctionGemma: JSON with bare keys, and strings between their own delimiters."""

from __future__ import annotations

import json
import re

from ollamapy.parsing.calls import Found, read_arguments, read_values

_HEAD = re.compile(r"\s*call:([\w.:-]+)\s*(?=\{)")
_DELIMITED = re.compile(r'<\|"\|>(.*?)<\|"\|>|<escape>(.*?)<escape>|"(?:[^"\\]|\\.)*"', re.DOTALL)
_KEY = re.compile(r"([{,]\s*)([A-Za-z_$][\w$.-]*)(\s*:)")


def read_gemma(body: str) -> list[Found] | None:
    """Read `call:name{key:<|"|>text<|"|>,other:1}`."""
    match = _HEAD.match(body)
    if match is None:
        return None
    parts: list[str] = []
    at = match.end()
    for found in _DELIMITED.finditer(body, at):
        parts.append(_KEY.sub(r'\1"\2"\3', body[at : found.start()]))
        text = found[1] if found[1] is not None else found[2]
        parts.append(found[0] if text is None else json.dumps(text))
        at = found.end()
    parts.append(_KEY.sub(r'\1"\2"\3', body[at:]))
    values = read_values("".join(parts))
    arguments = read_arguments(values[0]) if values is not None and len(values) == 1 else None
    return None if arguments is None else [Found(match[1], arguments)]
