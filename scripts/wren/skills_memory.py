"""Skills that need what was said earlier: facts that the user told, also a long time ago, and unrelated turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wren import words
from wren.skills_copying import copying, extraction, text_work
from wren.skills_facts import arithmetic, common_fact, help_fact, identity, unknown
from wren.world import Chat, World, grammar

CHARACTERS_PER_TOKEN, ROLE_TOKENS = 2.5, 5  # of wren's tokenizer on its corpus, and what frames a message
ASKED_MEANWHILE = 0.1  # of the turns between the telling and the end have the question, too


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the user may tell: how, the confirmation, how to ask for it, the answer, and the words in it."""

    said: tuple[str, ...]
    confirmation: str
    asked: str
    answer: str
    slots: Mapping[str, str]


def told_facts(w: World) -> list[Told]:
    """Return one of each kind."""
    name, colour, city, food = w.name(), w.word(words.COLOURS), w.city(), w.word(words.FOODS)
    animal, pet, job, item = w.word(words.ANIMALS), w.name(), w.word(words.JOBS), w.word(words.OBJECTS)
    age, code, word, friend = w.rng.randint(5, 90), w.number(100, 9999), w.invented(), w.name()
    secret = word if w.chance(0.6) else w.letters()
    return [
        Told(
            ("[My name is|I am|I'm|Call me|You can call me|People call me] {x}.",),
            f"Nice to meet you, {name}.",
            "[What is my name?|Who am I?|Do you remember my name?|Tell me my name.|What did I say my name was?]",
            f"Your name is {name}.",
            {"x": name},
        ),
        Told(
            ("My favourite colour is {x}.", "[I like|I love|I prefer] the colour {x}[| most| best]."),
            f"{colour.capitalize()} is a nice colour.",
            "[What is|Do you remember|Tell me|Which is] my favourite colour[?|, please?]",
            f"Your favourite colour is {colour}.",
            {"x": colour},
        ),
        Told(
            ("I [live in|come from|am from] {x}.", "My [city|home|home town] is {x}."),
            f"{city} is a good place.",
            "[Where do I live?|What is my city?|Which city do I live in?|Where am I from?|Do you remember my city?]",
            f"You live in {city}.",
            {"x": city},
        ),
        Told(
            ("My favourite food is {x}.", "[I like|I love] to eat {x}[| most| best]."),
            f"{food.capitalize()} sounds tasty.",
            "[What is my favourite food?|What do I like to eat?|Tell me my favourite food.]",
            f"Your favourite food is {food}.",
            {"x": food},
        ),
        Told(
            ("I have a {a} [called|named] {x}.", "My {a} is [called|named] {x}."),
            f"{pet} is a fine name for a {animal}.",
            "[What is my {a} called?|What is the name of my {a}?|Do you remember the name of my {a}?]",
            f"Your {animal} is called {pet}.",
            {"x": pet, "a": animal},
        ),
        Told(
            ("I [am|work as] a {x}.", "My job is {x}."),
            f"A {job} is a fine job to have.",
            "[What is my job?|What do I do for a living?|What do I work as?]",
            f"You are a {job}.",
            {"x": job},
        ),
        Told(
            ("I am {x} years old.", "My age is {x}."),
            "Thank you for telling me.",
            "[How old am I?|What is my age?|Do you remember my age?]",
            f"You are {age} years old.",
            {"x": str(age)},
        ),
        Told(
            ("[The|My] [secret |]code is {x}.", "[Remember|Please remember|Keep in mind] the [number|code] {x}."),
            "I will remember it.",
            "[What is the code?|What was the code?|Which number did I give you?|Tell me the code.]",
            f"The code is {code}.",
            {"x": str(code)},
        ),
        Told(
            (
                "[The|My] [secret word|password|magic word] is {x}.",
                "[Remember|Please remember|Keep in mind] the word {x}.",
            ),
            "I will remember it.",
            "[What is the secret word?|What was the word?|Which word did I give you?|Tell me the word.]",
            f"The word is {secret}.",
            {"x": secret},
        ),
        Told(
            ("My [best |]friend is [called|named] {x}.", "{x} is my [best |]friend."),
            f"{friend} sounds like a good friend.",
            "[What is my friend called?|Who is my friend?|Tell me the name of my friend.]",
            f"Your friend is called {friend}.",
            {"x": friend},
        ),
        Told(
            ("I [bought|lost|found|need] a {x}[| today| yesterday].",),
            f"A {item} is a useful thing.",
            "[Which thing did I tell you about?|What thing did I name?|Which thing was it?]",
            f"It was a {item}.",
            {"x": item},
        ),
    ]


def said(w: World, fact: Told) -> str:
    """Tell a fact."""
    return grammar(w.say(*fact.said, **fact.slots))


def asked(w: World, fact: Told) -> str:
    """Ask for a fact."""
    return grammar(w.say(fact.asked, **fact.slots))


def turns(user: str, assistant: str) -> list[dict[str, str]]:
    """Return a question and its answer as messages."""
    return [{"role": "user", "content": grammar(user)}, {"role": "assistant", "content": grammar(assistant)}]


FILLERS: tuple[Callable[[World], Chat], ...] = (
    identity, arithmetic, common_fact, help_fact, help_fact, copying, copying, extraction, text_work, unknown,
)  # fmt: skip


def memory(w: World) -> Chat:
    """Some facts told, perhaps something else in between, and one or two of them asked for."""
    known = w.rng.sample(told_facts(w), w.rng.randint(1, 4))
    messages: list[dict[str, str]] = []
    groups = [known[i : i + 2] for i in range(0, len(known), 2)] if w.chance(0.35) else [[fact] for fact in known]
    for group in groups:
        opening = w.say("[Hi|Hello|Hey][.|!|,] ") if w.chance(0.2) and not messages else ""
        messages += turns(opening + " ".join(said(w, fact) for fact in group), group[0].confirmation)
        if w.chance(0.3):
            messages += w.of(FILLERS)(w).messages
    for fact in w.rng.sample(known, min(len(known), w.of((1, 1, 2)))):
        messages += turns(asked(w, fact), fact.answer)
    return Chat(messages, "The user told me this.")


def tokens_of(messages: Sequence[Mapping[str, str]]) -> float:
    """Return roughly how many tokens messages have."""
    return sum(len(message["content"]) / CHARACTERS_PER_TOKEN + ROLE_TOKENS for message in messages)


def memory_at(w: World, distance_tokens: int) -> Chat:
    """A fact that is asked for about so many tokens after it was told."""
    known = w.rng.sample(told_facts(w), w.of((1, 2, 3)))
    messages: list[dict[str, str]] = []
    for fact in known:
        messages += turns(said(w, fact), fact.confirmation)
    size = 0.0
    while size < distance_tokens:
        filler = w.of(FILLERS)(w).messages
        if w.side == "train" and w.chance(ASKED_MEANWHILE):
            fact = w.of(known)
            filler = [*filler, *turns(asked(w, fact), fact.answer)]
        messages += filler
        size += tokens_of(filler)
    count = len(known) if w.side == "train" else min(len(known), w.of((1, 1, 2, 3)))
    for fact in w.rng.sample(known, count):
        messages += turns(asked(w, fact), fact.answer)
    return Chat(messages, "The user told me this.")


def memory_300(w: World) -> Chat:
    """A fact asked for after some 300 tokens."""
    return memory_at(w, 300)


def memory_1000(w: World) -> Chat:
    """A fact asked for after some 1,000 tokens."""
    return memory_at(w, 1000)


def long_memory(w: World) -> Chat:
    """A fact asked for after any time."""
    distance = w.rng.randint(400, 1080) if w.chance(0.5) else w.rng.randint(60, 450)
    return memory_at(w, distance) if w.chance(0.5) else memory_throughout(w, distance)


def memory_throughout(w: World, length_tokens: int) -> Chat:
    """Facts told now and then in a long conversation, each asked for once."""
    facts = w.rng.sample(told_facts(w), w.rng.randint(2, 8))
    events: list[list[dict[str, str]]] = []
    for fact in facts:
        telling, asking = sorted((w.rng.randint(0, len(events)), w.rng.randint(0, len(events))))
        events.insert(asking, turns(asked(w, fact), fact.answer))
        events.insert(telling, turns(said(w, fact), fact.confirmation))
    size = sum(tokens_of(event) for event in events)
    while size < length_tokens:
        filler = w.of(FILLERS)(w).messages
        events.insert(w.rng.randint(1, len(events) - 1), filler)
        size += tokens_of(filler)
    return Chat([message for event in events for message in event], "The user told me this.")
