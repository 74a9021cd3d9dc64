"""Scores through llama.cpp at temperature 0, with the chat template that the GGUF file carries."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from llama_cpp import Llama

THOUGHT = re.compile(r"<think>\n(\S[^\n]*)\n</think>\n\n(\S.*)", re.DOTALL)
CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
ANSWER_TOKENS = 200
Case = dict[str, Any]


class Player:
    """The model of a GGUF file with its own chat template."""

    def __init__(self, path: Path, threads: int = 1, context: int = 2048) -> None:
        self.llama = Llama(str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)
        environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        self.template = environment.from_string(self.llama.metadata["tokenizer.chat_template"])
        self.ends = {self.llama.token_eos(), *self.tokens("<|endoftext|>")}

    def tokens(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return list(self.llama.tokenize(text.encode(), add_bos=False, special=True))

    def prompt(self, messages: Sequence[Case], tools: Sequence[Case], think: bool) -> str:
        """Render a conversation."""
        return str(
            self.template.render(
                messages=messages, tools=tools or None, add_generation_prompt=True, enable_thinking=think
            )
        )

    def chat(self, case: Case, think: bool) -> str:
        """Return the likeliest answer to a case."""
        made: list[int] = []
        prompt = self.tokens(self.prompt(case["messages"], case["tools"], think))
        for token in self.llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            if token in self.ends or len(made) == ANSWER_TOKENS:
                break
            made.append(token)
        return str(self.llama.detokenize(made).decode(errors="replace"))


@dataclass(slots=True)
class Score:
    """How many cases of a skill were right."""

    cases: int = 0
    new_phrasing: int = 0
    right: int = 0
    right_with_thinking: int = 0
    thinking_well_formed: int = 0


def is_right(case: Case, answer: str) -> bool:
    """Whether an answer is right to the letter; of tool calls, the function and the arguments count.

    Where the case tells what an answer `says`, that is enough.
    """
    if case["says"]:
        return all(part in answer for part in case["says"])
    if not case["calls"]:
        return bool(answer == case["expect"])
    try:
        return [json.loads(call) for call in CALL.findall(answer)] == case["calls"]
    except json.JSONDecodeError:
        return False


def score(model: Path, cases: Iterable[Case], wrong: list[tuple[Case, str]] | None = None) -> dict[str, Score]:
    """Ask each case with thinking off and on; wrong answers without thinking are added to `wrong`."""
    player, scores = Player(model), defaultdict[str, Score](Score)
    for case in cases:
        entry = scores[case["skill"]]
        entry.cases += 1
        entry.new_phrasing += case["new_phrasing"]
        answer = player.chat(case, think=False)
        entry.right += is_right(case, answer)
        if wrong is not None and not is_right(case, answer):
            wrong.append((case, answer))
        thought = THOUGHT.fullmatch(player.chat(case, think=True))
        entry.thinking_well_formed += bool(thought)
        entry.right_with_thinking += bool(thought and is_right(case, thought[2]))
    return dict(scores)


def as_json(scores: dict[str, Score]) -> str:
    """Return scores as they are kept beside the model."""
    return json.dumps({skill: asdict(entry) for skill, entry in scores.items()}, indent=1) + "\n"


def table(scores: dict[str, Score]) -> str:
    """Return a Markdown table."""
    rows = ["| skill | cases | right | right, thinking | thinking well formed |", "|---|---|---|---|---|"]
    for skill, s in scores.items():
        parts = (s.right, s.right_with_thinking, s.thinking_well_formed)
        rows.append(f"| {skill.replace('_', ' ')} | {s.cases} | {' | '.join(f'{p / s.cases:.0%}' for p in parts)} |")
    return "\n".join(rows) + "\n"
