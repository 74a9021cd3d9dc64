"""Incremental parsing of an answer: a thinking stage, then a tool stage, chosen by the model's chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random, SystemRandom

from ollamapy.parsing.part import Part, Stage
from ollamapy.parsing.thinking import ThinkingParser, ThinkingTags
from ollamapy.parsing.tool_calls import tool_parser
from ollamapy.types import Json, ToolCall

__all__ = ["AnswerParser", "Part", "answer_parser", "supports_thinking", "supports_tools"]


class AnswerParser:
    """Generated text to parts, in any chunks; never raises."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def feed(self, text: str) -> Part:
        """Take the next text and return everything that can be given out now."""
        thinking = ""
        calls: tuple[ToolCall, ...] = ()
        for stage in self._stages:
            part = stage.feed(text)
            text, thinking, calls = part.content, thinking + part.thinking, calls + part.tool_calls
        return Part(text, thinking, calls)

    def close(self) -> Part:
        """Return the rest; malformed calls come out as text."""
        text = thinking = ""
        calls: tuple[ToolCall, ...] = ()
        for stage in self._stages:
            first, last = stage.feed(text), stage.close()
            text = first.content + last.content
            thinking += first.thinking + last.thinking
            calls += first.tool_calls + last.tool_calls
        return Part(text, thinking, calls)


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
    no tools the stage concerned is left out and its syntax stays in the content. `rng` makes the ids of calls.
    """
    stages: list[Stage] = []
    if think_enabled and (tags := thinking_tags(template_source)) is not None:
        stages.append(ThinkingParser(tags, prompt_tail=prompt_tail))
    if tools:
        stages.append(tool_parser(template_source, tools, rng or SystemRandom()))
    return AnswerParser(stages)


def thinking_tags(template_source: str) -> ThinkingTags | None:
    """Return the tags around a model's thinking; None for a model without."""
    for tags in _KNOWN_TAGS:
        if tags.close in template_source:
            return tags
    return None


def supports_thinking(template_source: str) -> bool:
    """Return whether the template belongs to a model that thinks between tags."""
    return thinking_tags(template_source) is not None


def supports_tools(template_source: str) -> bool:
    """Return whether the template tells the model about tools."""
    return "tools" in template_source or "tool_call" in template_source


_KNOWN_TAGS = (
    ThinkingTags("<think>", "</think>"),
    ThinkingTags("[THINK]", "[/THINK]"),
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),
    ThinkingTags("<seed:think>", "</seed:think>"),
)
