"""Finding out, by rendering tiny chats, in which form a template wants its messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from ollamapy.errors import TemplateError
from ollamapy.template.messages import Traits
from ollamapy.types import Message, ToolCall

PROBE_SECONDS = 1.0

_TEXT = "probe text 7391"
_SYSTEM = "probe system 7391"
_THOUGHT = "probe thinking 7391"
_KEY = "probekey"
_LONG_ID = "call_probe7391"

_TYPE = re.compile(r"""["']type["']""")  # of a part that was printed as it stands

Probe = Callable[[Sequence[Message], Traits], str | None]


def find_traits(probe: Probe) -> Traits:
    """Return the traits of a template; `probe` renders a chat under the given traits, or returns None if it fails."""
    traits = _content_traits(probe)
    user = Message("user", _TEXT)
    traits = _part_traits(probe, traits)
    if _SYSTEM not in (probe((Message("system", _SYSTEM), user), traits) or "") and probe((user,), traits) is not None:
        traits = replace(traits, folds_system=True)
    return _tool_traits(probe, traits)


def _content_traits(probe: Probe) -> Traits:
    chat = (Message("user", _TEXT),)
    for traits in (Traits(), Traits(typed_content=True), Traits(lists_no_tools=True)):
        if _TEXT in (probe(chat, traits) or ""):
            return traits
    return Traits()


def _part_traits(probe: Probe, traits: Traits) -> Traits:
    parts = (Message("user", f"{_TEXT}\n{_KEY}", parts=(_TEXT, _KEY)),)
    tried = replace(traits, reads_parts=True)
    rendered = probe(parts, tried) or ""
    if _TEXT in rendered and _KEY in rendered and _TYPE.search(rendered) is None:
        traits = tried
    thought = (parts[0], Message("assistant", _TEXT, thinking=_THOUGHT), parts[0])
    if _THOUGHT in (probe(thought, traits) or ""):
        return traits
    tried = replace(traits, thinking_part=True)
    rendered = probe(thought, tried) or ""
    return tried if _THOUGHT in rendered and _TYPE.search(rendered) is None else traits


def _tool_traits(probe: Probe, traits: Traits) -> Traits:
    for without, as_text, short in product((False, True), repeat=3):
        tried = replace(traits, none_content=without, arguments_as_text=as_text, short_ids=short)
        rendered = probe(_tool_chat(_LONG_ID), tried) or ""
        if _KEY in rendered and f"{{'{_KEY}'" not in rendered:
            return replace(tried, needs_ids=probe(_tool_chat(""), tried) is None)
    return traits


def _tool_chat(call_id: str) -> tuple[Message, ...]:
    call = ToolCall("probe_tool", {_KEY: "value"}, id=call_id)
    return (
        Message("user", _TEXT),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "result", tool_name="probe_tool", tool_call_id=call_id),
    )


def failing_as_none(render: Callable[[Sequence[Message], Traits], str]) -> Probe:
    """Return a probe that answers None where the template refuses."""

    def probe(messages: Sequence[Message], traits: Traits) -> str | None:
        try:
            return render(messages, traits)
        except TemplateError:
            return None

    return probe
