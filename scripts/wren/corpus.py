"""The corpus: a seeded mixture of all skills, and the cases of the two evaluations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wren import words
from wren.skills_copying import copying, extraction, json_of, looked_up, repeated, text_work
from wren.skills_facts import (
    arithmetic,
    capital,
    common_fact,
    equations,
    example,
    help_fact,
    identity,
    labelled,
    numbers,
    sums,
    told,
    too_large,
    topics,
    translation,
    unknown,
    unknown_topic,
)
from wren.skills_memory import FILLERS, long_memory, memory, memory_300, memory_1000
from wren.skills_pictures import picture
from wren.skills_style import classification, fill_in, plain_story, story, system_prompt
from wren.skills_tools import (
    as_written_by_clients,
    maybe_system,
    named,
    no_tool,
    tool_call,
    tool_choice,
    tool_list,
    tool_result,
    tool_talk,
    untooled,
)
from wren.world import Chat, Part, Side, World, render

THINKING_SHARE = 0.6


def conversation(w: World) -> Chat:
    """Several unrelated questions, one after the other."""
    chats = [w.of((*FILLERS, classification, system_free))(w) for _ in range(w.rng.randint(2, 9))]
    messages = [message for chat in chats for message in chat.messages]
    return Chat(maybe_system(w, messages), chats[-1].thought)


def system_free(w: World) -> Chat:
    """A short chat that needs no system prompt."""
    chat: Chat = w.of((memory, translation, numbers))(w)
    return chat


CHATS: dict[Callable[[World], Chat], float] = {
    identity: 10, unknown: 27, help_fact: 32, common_fact: 6, capital: 3, labelled: 2, example: 2, translation: 4,
    arithmetic: 6, sums: 1, too_large: 4, numbers: 8, copying: 9, text_work: 8, memory: 11, long_memory: 8,
    system_prompt: 10, extraction: 12, json_of: 3, classification: 5, story: 3, tool_call: 32, tool_result: 8,
    no_tool: 14, untooled: 8, tool_talk: 4, tool_choice: 10, tool_list: 10, conversation: 2, picture: 1,
}  # fmt: skip
PLAIN: dict[Callable[[World], list[Part]], float] = {
    plain_story: 1, fill_in: 1, repeated: 4, looked_up: 2, named: 7, topics: 8, equations: 0.5, told: 1,
}  # fmt: skip
EVALUATED = (
    identity, unknown, unknown_topic, help_fact, common_fact, translation, arithmetic, numbers, copying, text_work,
    memory, memory_300, memory_1000, system_prompt, extraction, classification, tool_call, tool_result, no_tool,
    untooled,
)  # fmt: skip
SLOTS = (
    words.NAMES, words.CITIES, words.ANIMALS, words.COLOURS, words.FOODS, words.OBJECTS, words.PLACES, words.JOBS,
    words.ADJECTIVES, words.VERBS, words.NOUNS, words.TOPICS, list(words.CAPITALS), words.SYLLABLES,
)  # fmt: skip


def json_style(w: World) -> Callable[[Any], str]:
    """Return one of the ways in which clients write tools as JSON."""
    style = w.rng.random()
    if style < 0.65:
        return lambda x: json.dumps(x, ensure_ascii=False)
    if style < 0.85:
        return lambda x: json.dumps(x, ensure_ascii=False, separators=(",", ":"))
    return lambda x: json.dumps(x, ensure_ascii=False, sort_keys=True)


def documents(count: int, seed: int, fragments: Sequence[str] = ()) -> Iterator[list[Part]]:
    """Yield training documents; `fragments` are parts of words that must all occur in words that are copied."""
    w = World(seed, fragments=fragments)
    skills = {**CHATS, **PLAIN}
    for skill in w.rng.choices(list(skills), list(skills.values()), k=count):
        made = skill(w)
        if isinstance(made, Chat):
            made.tools = as_written_by_clients(w, made.tools)
            yield render(made, w.chance(THINKING_SHARE), json_style(w))
        else:
            yield made


CLOSED = (identity, help_fact, common_fact, translation)  # nothing but the phrasing can be new
TRIES = 60


def cases(count: int, seed: int, side: Side) -> Iterator[dict[str, Any]]:
    """Yield evaluation cases of each skill: messages, tools and the one right answer.

    All phrasings are new if that is possible, and in some skills in one case of a few only.
    """
    for skill in EVALUATED:
        w, seen = World(seed, side), set[str]()
        for _ in range(count * TRIES):
            w.is_trained = False
            chat = skill(w)
            if w.is_trained and (skill in CLOSED or w.chance(0.9)):
                continue
            prompt = json.dumps([chat.messages[:-1], chat.tools])
            if prompt not in seen:
                seen.add(prompt)
                yield case_of(skill.__name__, chat, is_new_phrasing=not w.is_trained)
            if len(seen) == count:
                break


def case_of(skill: str, chat: Chat, is_new_phrasing: bool) -> dict[str, Any]:
    """Return an evaluation case; words are new in all of them, where a skill has words to choose."""
    calls = chat.messages[-1].get("tool_calls", [])
    right = {"expect": chat.answer, "calls": calls, "says": chat.says}
    asked = {"messages": chat.messages[:-1], "tools": chat.tools}
    return {"skill": skill, **asked, **right, "new_phrasing": is_new_phrasing}


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
