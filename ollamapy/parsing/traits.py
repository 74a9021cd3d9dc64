"""What a chat template tells about the answers of its model, be it a Jinja or a Go template."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ollamapy.errors import TemplateError
from ollamapy.parsing import harmony, xtml
from ollamapy.parsing.go_tags import find_thinking_tags, find_tool_tag
from ollamapy.parsing.thinking import ThinkingTags
from ollamapy.parsing.tool_calls import spell_out, tool_marks
from ollamapy.template.go.ollama import go_template

_SPLIT = re.compile(r"split\(\s*['\"]</think>['\"]\s*\)")
_TOOL_ROLE = re.compile(r"""(['"])(?:tool|ipython|tool_response)\1""")
_KNOWN_TAGS = (
    ThinkingTags("<think>", "</think>"),
    ThinkingTags("[THINK]", "[/THINK]"),
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),
    ThinkingTags("<seed:think>", "</seed:think>"),
    ThinkingTags("<|channel>thought", "<channel|>"),
    ThinkingTags("<mm:think>", "</mm:think>"),
    ThinkingTags("<think:opensource>", "</think:opensource>"),
)


@dataclass(frozen=True, slots=True)
class AnswerTraits:
    """What a model can do and how its answers are written.

    With `answers_calls` the template writes both calls and their results. `tool_tag` is what a Go template puts before
    calls, None if it can't be told.
    """

    thinks: bool = False
    calls_tools: bool = False
    inserts: bool = False
    answers_calls: bool = False
    thinking: ThinkingTags | None = None
    tool_tag: str | None = None
    is_harmony: bool = False
    is_xtml: bool = False
    names_recipients: bool = False


@lru_cache(maxsize=32)
def read_traits(template_source: str) -> AnswerTraits:
    """Read a template's text; nothing is executed, and a malformed one has the traits that its words suggest."""
    is_harmony = "<|channel|>" in template_source and "<|start|>" in template_source
    if "{%" not in template_source and (traits := _read_go(template_source, is_harmony=is_harmony)) is not None:
        return traits
    template_source = spell_out(template_source)
    is_xtml = "<|open|>" in template_source and "<|sep|>" in template_source
    return AnswerTraits(
        thinks=is_harmony or is_xtml or _jinja_thinks(template_source),
        calls_tools="tools" in template_source or "tool_call" in template_source,
        answers_calls="tool_calls" in template_source and _TOOL_ROLE.search(template_source) is not None,
        thinking=next((tags for tags in _KNOWN_TAGS if tags.close in template_source), None),
        is_harmony=is_harmony,
        is_xtml=is_xtml,
        names_recipients=">>>all" in template_source,
    )


def _read_go(source: str, *, is_harmony: bool) -> AnswerTraits | None:
    try:
        template = go_template(source)
    except TemplateError:
        return None
    root = template.parsed.root
    tags = find_thinking_tags(root)
    thinks = is_harmony or tags is not None
    names = template.names
    return AnswerTraits(
        thinks=thinks,
        calls_tools="tools" in names,
        inserts="suffix" in names,
        answers_calls="toolcalls" in names and _TOOL_ROLE.search(source) is not None,
        thinking=tags,
        tool_tag=find_tool_tag(root),
        is_harmony=is_harmony,
    )


def _jinja_thinks(source: str) -> bool:
    """Return whether a Jinja template's model thinks.

    Either it has both tags, or it cuts thinking out of old answers; the latter is also found in templates of models
    that hand their thinking over separately, and in those with Nemotron's placeholder, which do not count.
    """
    if any(tags.open in source and tags.close in source for tags in _KNOWN_TAGS):
        return True
    return bool(_SPLIT.search(source)) and "reasoning_content" not in source and "<SPECIAL_12>" not in source


def answer_marks(template_source: str) -> tuple[str, ...]:
    """Return the texts that mark thinking and tool calls in answers.

    Where a vocabulary holds one of them as a control token, the worker must give out its text, or the answer can't be
    parsed.
    """
    traits = read_traits(template_source)
    if traits.is_harmony:
        return harmony.MARKS
    if traits.is_xtml:
        return xtml.MARKS
    tags = (traits.thinking.open, traits.thinking.close) if traits.thinking is not None else ()
    return tuple(dict.fromkeys((*tags, *(tool_marks(template_source) if traits.calls_tools else ()))))
