"""What Tab offers at the prompt of the conversation: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ollamapy.cli.chat.help import COMMANDS, PARTS, SETTINGS, TOPICS
from ollamapy.cli.values import THINK_WORDS
from ollamapy.options import RULES

Names = Callable[[], Sequence[str]]
"""Tells the names of all models."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may stand in place of the one that is typed, and what it means."""

    word: str
    about: str = ""


def candidates(line: str, names: Names) -> list[Candidate]:
    """Return what the last word of a command may become; nothing for what is no command."""
    if not line.startswith("/") or "\n" in line:
        return []
    *before, typed = line.split(" ")
    offers = _offers([word for word in before if word], names)
    return [Candidate(word, about) for word, about in offers.items() if word.lower().startswith(typed.lower())]


def _offers(before: Sequence[str], names: Names) -> Mapping[str, str]:
    match before:
        case []:
            return COMMANDS
        case ["/set"]:
            return {name: about for name, (_, about) in SETTINGS.items()}
        case ["/set", "parameter"]:
            return dict.fromkeys(sorted(RULES), "")
        case ["/set", "format"]:
            return {"json": ""}
        case ["/set", "think"]:
            return dict.fromkeys(THINK_WORDS, "")
        case ["/show"]:
            return PARTS
        case ["/load" | "/save" | "/list"]:
            return dict.fromkeys(names(), "")
        case ["/?" | "/help"]:
            return TOPICS
        case _:
            return {}
