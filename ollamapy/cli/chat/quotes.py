'''Messages of several lines, which stand between three quotes, """ and """: pure.'''

from __future__ import annotations

import re

QUOTES = '"""'
_OPENING = re.compile(r'(?:/set[ \t]+system[ \t]+)?"""')


def is_open(text: str) -> bool:
    """Whether a message has begun with three quotes that are not closed yet."""
    opening = _OPENING.match(text)
    return opening is not None and not text[opening.end() :].rstrip().endswith(QUOTES)


def unquoted(text: str) -> str:
    """Return a message, or the text of a command, without its quotes."""
    if not text.startswith(QUOTES):
        return text
    return text[len(QUOTES) :].rstrip().removesuffix(QUOTES)
