"""Reads the values of arguments and options: words, numbers, formats; pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ollamapy.config import parse_duration
from ollamapy.errors import InvalidInputError
from ollamapy.options import options_from_parameters
from ollamapy.types import Json, Options, Think

THINK_WORDS: dict[str, Think] = {
    "true": True,
    "false": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


def parse_think(text: str | None) -> Think:
    """Read how the model shall think, None where it was not said; raises InvalidInputError."""
    if text is None:
        return None
    if text not in THINK_WORDS:
        raise InvalidInputError(f'invalid value "{text}" for think: use ' + ", ".join(THINK_WORDS))
    return THINK_WORDS[text]


def parse_keep_alive(option: str, text: str | None) -> float | None:
    """Read how many seconds a model stays in memory, None where it was not said; raises InvalidInputError."""
    try:
        return None if text is None else parse_duration(text)
    except InvalidInputError as exc:
        raise InvalidInputError(f'invalid value "{text}" for {option}: write a duration such as 10m') from exc


def parse_registry(text: str) -> str:
    """Read the name of a registry, which may be given as its address: `https://Reg.Example/` is `reg.example`."""
    return text.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")


def parse_switch(option: str, text: str | None) -> bool:
    """Read the value of an option that is on unless told otherwise; raises InvalidInputError."""
    if text not in (None, "true", "false"):
        raise InvalidInputError(f'invalid value "{text}" for {option}: use true, false')
    return text != "false"


def parse_format(text: str | None) -> Json:
    """Read the value of `--format`: the word json, or a schema; raises InvalidInputError."""
    if not text or text == "json":
        return text or None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidInputError(f"--format must be `json` or a JSON Schema: {exc}") from exc


def parse_pairs(option: str, texts: Iterable[str]) -> Options:
    """Read model options that are written NAME=VALUE; raises InvalidInputError."""
    pairs = []
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark:
            raise InvalidInputError(f'invalid value "{text}" for {option}: write NAME=VALUE, such as temperature=0')
        pairs.append((name.strip(), value))
    return options_from_parameters(pairs)
