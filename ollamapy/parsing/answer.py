"""Incremental parsing of an answer: a thinking stage, then a tool stage, chosen by the model's chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random, SystemRandom

from ollamapy.parsing.harmony import HarmonyParser
from ollamapy.parsing.part import Part, Stage
from ollamapy.parsing.recipients import RecipientParser
from ollamapy.parsing.thinking import ThinkingParser
from ollamapy.parsing.tool_calls import tool_parser
from ollamapy.parsing.traits import answer_marks, read_traits
from ollamapy.parsing.xtml import XtmlParser
from ollamapy.types import Json

__all__ = [
    "AnswerParser",
    "Part",
    "answer_marks",
    "answer_parser",
]


class AnswerParser:
    """Generated text to parts, in any chunks; never raises."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""
        if not self._stages:
            return Part(text)
        first, *later = self._stages
        found = first.feed(text)
        for stage in later:
            found = found.passed(stage.feed(found.content))
        return found

    def close(self) -> Part:
        """Return the rest; malformed calls come out as text."""
        found = Part()
        for stage in self._stages:
            found = found.passed(stage.feed(found.content).then(stage.close()))
        return found


def answer_parser(
    template_source: str,
    *,
    prompt_tail: str,
    think_enabled: bool,
    tools: Sequence[Mapping[str, Json]],
    rng: Random | None = None,
) -> AnswerParser:
    """Build the parser for one answer.

    `prompt_tail` is the end of the rendered prompt, where thinking may already have been opened. With thinking off or
    no tools the stage concerned is left out and its syntax stays in the content; formats with channels or recipients
    are always taken apart.
    `template_source` is a Jinja or a Go template; `rng` makes the ids of calls.
    """
    traits = read_traits(template_source)
    rng = rng or SystemRandom()
    if traits.is_harmony:
        return AnswerParser([HarmonyParser(rng, prompt_tail)])
    if traits.is_xtml:
        return AnswerParser([XtmlParser(rng, prompt_tail)])
    if traits.names_recipients:
        return AnswerParser([RecipientParser(rng)])
    calls = tool_parser(template_source, tools, rng, traits.tool_tag) if tools else None
    stages: list[Stage] = [] if calls is None else [calls]
    if think_enabled and traits.thinking is not None:
        call_tags = calls.tags if calls is not None else ()
        stages.insert(0, ThinkingParser(traits.thinking, prompt_tail=prompt_tail, call_tags=call_tags))
    return AnswerParser(stages)
