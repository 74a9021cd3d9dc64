"""Every chat template in llama.cpp's tree, rendered as llama.cpp's own server renders it."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai_requests import chat_completion_request
from ollamapy.errors import TemplateError
from ollamapy.parsing.traits import read_traits
from ollamapy.template.prompt import ChatTemplate, chat_template, render_chat

DATA = Path(__file__).parents[1] / "data" / "jinja_goldens"  # generate.py beside the recording says how it was made
CASES: dict[str, dict[str, Any]] = json.loads((DATA / "cases.json").read_text())
WITH_TOOLS = frozenset(name for name, case in CASES.items() if "tools" in case)
WITH_RESULTS = frozenset(name for name in WITH_TOOLS if CASES[name]["messages"][-1]["role"] == "tool")
WITH_SYSTEM = frozenset(name for name, case in CASES.items() if case["messages"][0]["role"] == "system")

# Python prints a dictionary's text with both kinds of quotes as 'it\'s "x"'; llama.cpp prints "it's \"x\"".
PRINTED_DICTIONARY = WITH_TOOLS
# The template has its calls written where the content is none; llama.cpp gives it an empty text and loses the calls.
LOST_CALLS = WITH_RESULTS
# Without a system role, its text goes before the user's: a blank line apart, as Gemma 3's own template has it;
# llama.cpp puts one line break there. Of tool turns neither can write any.
GAP_BELOW_SYSTEM = WITH_SYSTEM - {"tool turns", "two calls"}
# llama.cpp rewrites tool results for this older template of Gemma 4; we give it what it asks for.
REWRITTEN_RESULTS = WITH_RESULTS | {"tool turns"}
# `thinking` says in these templates whether the model thinks: we set it, which llama.cpp does not.
UNASKED_THINKING = frozenset({"user", "thinking in history"})
THINKING_OFF = frozenset(name for name in CASES if name.endswith("thinking off"))
# Others have words of their own for no thinking, or for any, and we say those: llama.cpp says `enable_thinking` alone.
THINKING_ON = frozenset(CASES) - THINKING_OFF
# The template takes several texts as they came; llama.cpp joins them by line breaks first.
JOINED_PARTS = frozenset({"content parts"})
# llama.cpp turns an answer with thinking into parts, of which this template writes none.
LOST_ANSWER = frozenset({"thinking in history"})

DIFFERENCES = {
    "Apriel-1.6-15b-Thinker-fixed": PRINTED_DICTIONARY,
    "ByteDance-Seed-OSS": THINKING_OFF,
    "Cohere2MoE": THINKING_OFF,
    "Kimi-K3": THINKING_OFF,
    "LFM2.5-8B-A1B": JOINED_PARTS,
    "MiniMax-M3": THINKING_OFF,
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": LOST_CALLS,
    "google-gemma-2-2b-it": GAP_BELOW_SYSTEM,
    "google-gemma-4-31B-it-interleaved": REWRITTEN_RESULTS,
    "ibm-granite-granite-3.3-2B-Instruct": UNASKED_THINKING,
    "mistralai-Ministral-3-14B-Reasoning-2512": JOINED_PARTS,
    "tencent-Hy3": THINKING_ON,
    "unsloth-Apriel-1.5": PRINTED_DICTIONARY,
    "unsloth-mistral-Devstral-Small-2507": LOST_ANSWER,
}


def recording() -> list[dict[str, Any]]:
    with gzip.open(DATA / "prompts.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][1:]


def prompt_of(template: ChatTemplate, case: dict[str, Any], now: datetime) -> str | None:
    """The prompt as llama.cpp reports it: without the first token, which it adds itself; None for a refused chat."""
    request = chat_completion_request(Fields({"model": "any", **case})).chat
    wanted = case.get("chat_template_kwargs", {}).get("enable_thinking", True)
    think = wanted if read_traits(template.source).thinks else None
    try:
        segments = render_chat(template, request.messages, tools=request.tools, think=think, now=now)
    except TemplateError:
        return None
    return "".join(segment.text for segment in segments).removeprefix(template.bos_token)


@pytest.mark.parametrize("row", recording(), ids=lambda row: str(row["template"]))
def test_prompts_are_those_of_llama_cpp(shared_models: Path, row: dict[str, Any]) -> None:
    source = (shared_models / "templates" / "llama.cpp" / f"{row['template']}.jinja").read_text("utf-8")
    template, now = chat_template(source, bos_token="<s>", eos_token="</s>"), datetime.fromisoformat(row["now"])
    prompts = {name: prompt_of(template, case, now) for name, case in CASES.items()}
    recorded = {name: prompt and prompt.removeprefix("<s>") for name, prompt in row["prompts"].items()}
    different = {name for name in CASES if prompts[name] != recorded[name]}
    assert different == DIFFERENCES.get(row["template"], set())


def test_all_templates_are_recorded(shared_models: Path) -> None:
    names = {path.stem for path in (shared_models / "templates" / "llama.cpp").glob("*.jinja")}
    assert names == {row["template"] for row in recording()}
    assert names >= DIFFERENCES.keys()
