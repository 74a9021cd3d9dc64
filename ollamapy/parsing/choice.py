"""Which prompt template of a model is in force: the Go one that it was published with, or the Jinja one of its file.

Source: the decision that Ollama takes in `server/model_resolver.go`, told by what the templates offer.
"""

from __future__ import annotations

import re

from ollamapy.parsing.traits import read_traits

_GO_ACTION = re.compile(
    r"\{\{-?\s*(?:(?:(?:if|else if|range|with|block|and|or|not|eq|json|len)\s[^}]*?)?[.$][A-Z]"
    r"|(?:if|else|end|range|with|define|template|block|break|continue)\b"
    r"|[.$]|/\*"  # neither begins an expression of Jinja
    r"|\(*(?:call|eq|ge|gt|html|index|js|json|le|len|lt|ne|print|printf|println|slice|urlquery)"
    r"\s+(?!(?:and|if|in|is|not|or)\b)[\w\".$(`])"
)


def is_go_template(text: str) -> bool:
    """Tell a Go template (`{{ .Prompt }}`) from a Jinja one."""
    return "{%" not in text and _GO_ACTION.search(text) is not None


def choose_template(own: str | None, embedded: str | None, go_templates: bool | None = None) -> str | None:
    """Return the template in force, None if there is none.

    1. Where there is only one, that. 2. The model's own, if it is in Jinja. 3. With `go_templates` the own one, against
    it (False) the embedded one. 4. The embedded one, if it offers more (tools, thinking, insert) and not only the own
    one can write tool calls with their results, or as much, tools among it, and only it can write those. 5. The own.
    """
    if own is None or embedded is None or not is_go_template(own):  # 1, 2
        return embedded if own is None else own
    if go_templates is not None:  # 3
        return own if go_templates else embedded
    go, jinja = read_traits(own), read_traits(embedded)
    offered = jinja.calls_tools + jinja.thinks, go.calls_tools + go.thinks + go.inserts
    only_own = go.answers_calls and not jinja.answers_calls
    only_embedded = jinja.answers_calls and not go.answers_calls
    if offered[0] > offered[1] and not only_own:  # 4
        return embedded
    if offered[0] == offered[1] and jinja.calls_tools and only_embedded:
        return embedded
    return own  # 5
