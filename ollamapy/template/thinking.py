"""How a Jinja template is told whether its model shall think, and how much: each family has its own word for it."""

from __future__ import annotations

import re

from ollamapy.types import Json, Think

_OFF = re.compile(r"""reasoning_effort[^%}]*['"](none|no_think)['"]""")
_NO_MODE = re.compile(r"""thinking_mode\s*==\s*['"]disabled['"]""")
_NO_BUDGET = re.compile(r"thinking_budget\s*==\s*0\b")


def think_variables(think: Think, source: str) -> dict[str, Json]:
    """Return the variables for a template with this text; none where nobody says anything, and it decides itself."""
    if think is None:
        return {}
    # `thinking` is the name that DeepSeek's and Granite's templates use
    variables: dict[str, Json] = {"enable_thinking": bool(think), "thinking": bool(think)}
    if not think and _NO_MODE.search(source):
        variables["thinking_mode"] = "disabled"
    if not think and _NO_BUDGET.search(source):
        variables["thinking_budget"] = 0
    if effort := _effort(think, source):
        variables["reasoning_effort"] = variables["thinking_effort"] = effort
    return variables


def _effort(think: Think, source: str) -> str:
    """Return the level in the template's words, empty for its own default; one that it refuses becomes the next."""
    off = _OFF.search(source)
    if isinstance(think, bool):
        return "" if off is None else "high" if think else off[1]
    if think == "max" and not _quotes(source, "max"):
        return "high"
    knows_others = _quotes(source, "low") and _quotes(source, "high")
    return "high" if think == "medium" and knows_others and not _quotes(source, "medium") else str(think)


def _quotes(source: str, word: str) -> bool:
    return f"'{word}'" in source or f'"{word}"' in source
