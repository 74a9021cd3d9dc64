from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from wren import corpus, words
from wren.evaluate import is_right
from wren.paraphrases import bare, triples
from wren.pictures import ALL, draw, png
from wren.skills_facts import arithmetic, capital, equations, sums
from wren.skills_memory import CHARACTERS_PER_TOKEN, memory_1000
from wren.skills_tools import as_written_by_clients, no_tool, tool_list, with_others
from wren.tool_uses import any_use
from wren.world import Part, World, outcomes, render

from ollamapy.gguf import read_header
from ollamapy.template.prompt import chat_template, render_chat
from ollamapy.types import Message, ToolCall

DOCUMENTS = 3000
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return ["".join(text for text, _ in document) for document in corpus.documents(DOCUMENTS, seed=1)]


def test_a_seed_fixes_the_corpus():
    first, again, other = ([*corpus.documents(100, seed=seed)] for seed in (5, 5, 6))
    assert first == again != other


def test_no_document_has_a_word_of_the_last_evaluation(texts):
    found = set(re.findall(r"[A-Za-z]+", " ".join(texts)))
    assert not {word for word in words.RESERVED if " " not in word} & found


def test_the_cases_of_the_last_evaluation_use_reserved_words():
    names = {case["expect"] for case in corpus.cases(5, seed=3, side="held") if case["skill"] == "memory_300"}
    assert names
    assert any(word in answer for answer in names for word in words.RESERVED)


def test_no_phrasing_is_on_two_sides():
    sides = outcomes(("[Say|Tell me|Name|Give me] the [name|age|city|code] of [it|this|that].",))
    by_side = [set(itertools.chain.from_iterable(sides[side])) for side in ("train", "dev", "held")]
    assert all(by_side)
    assert sum(map(len, by_side)) == len(set.union(*by_side)) == 48


def test_a_phrasing_that_has_no_other_is_trained_on_and_asked_by_no_evaluation():
    only = next(text for text in map(str, range(99)) if not outcomes((text,))["dev"])
    assert outcomes((only,))["train"] == [[only]]


@pytest.mark.parametrize("side", ["dev", "held"])
def test_an_evaluation_repeats_no_prompt(side):
    cases = list(corpus.cases(20, seed=2, side=side))
    assert len({json.dumps([case["skill"], case["messages"], case["tools"]]) for case in cases}) == len(cases)
    assert {"tool_call", "memory_1000", "copying", "arithmetic", "unknown"} <= {case["skill"] for case in cases}


def test_sums_are_right_and_within_twenty():
    w = World(3)
    answers = [arithmetic(w).answer for _ in range(300)]
    answers += [message["content"] for _ in range(30) for message in sums(w).messages[1::2]]
    answers += re.split(r"(?<=\.)\s", "".join(text for _ in range(30) for text, _ in equations(w)).strip())
    for answer in answers:
        left, sign, right, result = re.fullmatch(r"(\d+) ([+-]) (\d+) = (\d+)\.", answer).groups()
        assert int(result) == (int(left) + int(right) if sign == "+" else int(left) - int(right))
        assert max(int(left), int(right), int(result)) <= 20


def test_training_has_words_that_stand_in_no_list_and_evaluations_have_none():
    new = {
        side: sum(World(seed, side).word(words.NAMES) not in words.NAMES for seed in range(500))
        for side in ("train", "dev", "held")
    }
    assert new["train"] > 100
    assert new["dev"] == new["held"] == 0


def test_every_fragment_occurs_in_words_that_are_copied_from_the_prompt():
    fragments = tuple(f"q{a}{b}" for a in "bcdfgjklm" for b in "vwxz")
    answers = answers_of(corpus.documents(4000, seed=2, fragments=fragments))
    assert min(answers.count(fragment) for fragment in fragments) > 20


def answers_of(documents: Iterable[list[Part]]) -> str:
    return "\n".join(document[-1][0] for document in documents)


def test_no_other_tool_would_do_as_well_as_the_one_that_is_wanted():
    w = World(6)
    for use in (any_use(w) for _ in range(600)):
        described = [schema["function"]["description"].lower() for schema in with_others(w, use)]
        assert sum("weather" in text for text in described) <= 1
        assert sum(text.startswith("search") for text in described) <= 1
        assert len(set(described)) == len(described)


def test_a_call_has_the_parameters_that_its_tool_lists():
    w, keys = World(12), set[str]()
    for _ in range(600):
        use = any_use(w)
        parameters, arguments = use.schema["function"]["parameters"], use.call["arguments"]
        assert use.schema["function"]["name"] == use.call["name"]
        assert set(parameters["required"]) <= set(arguments) <= set(parameters["properties"])
        keys |= set(arguments)
    assert len(keys) > 60  # so that they must be read from the list


def test_libraries_write_other_things_around_the_same_parameters():
    w, around = World(14), set[str]()
    for _ in range(60):
        plain = [any_use(w).schema]
        (written,) = as_written_by_clients(w, plain)
        ours, theirs = (schema["function"]["parameters"] for schema in (plain[0], written))
        assert written["function"]["name"] == plain[0]["function"]["name"]
        assert (list(theirs["properties"]), theirs["required"]) == (list(ours["properties"]), ours["required"])
        around |= {*written["function"], *theirs} - {*plain[0]["function"], *ours}
    assert around == {"$schema", "additionalProperties", "title", "strict"}


def test_a_capital_is_told_from_either_side():
    w, sides = World(13), set[bool]()
    for _ in range(60):
        chat = capital(w)
        asked = chat.messages[0]["content"]
        country, city = next(pair for pair in words.CAPITALS.items() if pair[0] in asked or pair[1] in asked)
        assert chat.answer in (f"The capital of {country} is {city}.", f"{city} is the capital of {country}.")
        sides.add(city in asked)
    assert sides == {True, False}


def test_no_search_is_offered_where_not_knowing_is_the_answer():
    w = World(9)
    admitting = [chat for chat in (no_tool(w) for _ in range(300)) if chat.says]
    assert admitting
    assert "search" not in json.dumps([chat.tools for chat in admitting]).lower()


def test_each_tool_of_a_long_list_is_called_once():
    w = World(10)
    for chat in (tool_list(w) for _ in range(50)):
        listed = [tool["function"]["name"] for tool in chat.tools]
        called = [call["name"] for message in chat.messages for call in message.get("tool_calls", ())]
        assert sorted(called) == sorted(listed)
        assert len(listed) >= 2


def test_who_does_not_know_must_say_so_and_may_name_the_topic_otherwise():
    cases = {case["skill"]: case for case in corpus.cases(1, seed=4, side="dev")}
    admits, names = cases["unknown"], cases["unknown_topic"]
    assert admits["messages"] == names["messages"]
    other = names["expect"].replace("too little about ", "too little about another ")
    for case, answer in ((admits, names["expect"]), (names, names["expect"]), (admits, other)):
        assert is_right(case, answer)
    assert not is_right(names, other)
    assert not is_right(admits, "I am a very small model.")


def test_a_memory_lies_as_far_back_as_it_should():
    chat = memory_1000(World(8))
    text = " ".join(message["content"] for message in chat.messages)
    assert 700 * CHARACTERS_PER_TOKEN < len(text) < 1300 * CHARACTERS_PER_TOKEN


@pytest.mark.parametrize("think", [False, True])
def test_the_bundled_template_renders_prompts_as_they_were_trained(wren_gguf: Path, think):
    source = read_header(wren_gguf).chat_template()
    assert source is not None
    template = chat_template(source, bos_token="<|endoftext|>", eos_token="<|im_end|>", control_tokens=CONTROL)
    w = World(5)
    for _ in range(200):
        chat = w.of(list(corpus.CHATS))(w)
        trained = "".join(text for text, _ in render(chat, think, lambda x: json.dumps(x, ensure_ascii=False))[:-1])
        messages = [message_of(message) for message in chat.messages[:-1]]
        segments = render_chat(template, messages, tools=chat.tools, think=think)
        assert "".join(segment.text for segment in segments) == trained


def message_of(message: dict) -> Message:
    calls = (ToolCall(call["name"], call["arguments"]) for call in message.get("tool_calls", ()))
    return Message(message["role"], message["content"], tool_calls=tuple(calls))


def test_paraphrases_share_a_meaning_and_no_wording():
    for triple in itertools.islice(triples(4, "train"), 200):
        assert len({bare(text) for text in (triple.anchor, triple.same)}) == 2
        assert triple.other not in (triple.anchor, triple.same)


def test_a_picture_shows_its_colours():
    rng = random.Random(1)
    for picture in ALL[:20]:
        pixels = draw(picture, 64, rng)
        assert pixels.shape == (64, 64, 3)
        assert len({tuple(pixel) for row in pixels.tolist() for pixel in row}) == 2
    assert png(pixels).startswith(b"\x89PNG\r\n\x1a\n")
