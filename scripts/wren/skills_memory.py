"""Skills that need what was said earlier: facts that the user told, also a long time ago, and unrelated turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wren import words
from wren.skills_copying import copying, extraction, text_work
from wren.skills_facts import arithmetic, common_fact, help_fact, identity, unknown
from wren.world import Chat, World, grammar

CHARACTERS_PER_TOKEN, ROLE_TOKENS = 2.5, 5  # of wren's tokenizer on its corpus, and what frames a message
LONGEST_TOKENS, FACT_TOKENS = 1220, 40  # of a conversation, and of a fact that is told and asked for
ASKED_MEANWHILE = 0.1  # of the turns between the telling and the end have the question, too


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the user may tell: how, the confirmation, how to ask for it, the answer, and the words in it."""

    said: tuple[str, ...]
    confirmation: str
    asked: tuple[str, ...]
    answer: str
    slots: Mapping[str, str]


def questions(what: str, *others: str) -> tuple[str, ...]:
    """Return ways to ask for something that was told."""
    return (
        f"[What is|What was|Which is|Do you remember|Do you know] {what}?",
        f"[Can|Could] you tell me {what}[?|, please?]",
        f"[Tell me|Remind me of|Say|Repeat|Give me] {what}[.| please.| again.]",
        f"[What did I say|Do you remember what|Tell me what|What did I tell you] {what} [is|was]?",
        *others,
    )


def told_facts(w: World) -> list[Told]:
    """Return one of each kind."""
    name, colour, city, food = w.name(), w.word(words.COLOURS), w.city(), w.word(words.FOODS)
    animal, pet, job, item = w.word(words.ANIMALS), w.name(), w.word(words.JOBS), w.word(words.OBJECTS)
    age, code, word, friend = w.rng.randint(5, 90), w.number(100, 9999), w.invented(), w.name()
    secret = word if w.chance(0.6) else w.letters()
    return [
        Told(
            ("[My name is|I am|I'm|Call me|You can call me|People call me|My friends call me|They call me] {x}.",),
            f"Nice to meet you, {name}.",
            questions(
                "my name",
                "Who am I?",
                "[What|How] [am I called|do people call me]?",
                "Do you [know|remember] who I am?",
            ),
            f"Your name is {name}.",
            {"x": name},
        ),
        Told(
            (
                "My favourite colour is {x}.",
                "[I like|I love|I prefer] the colour {x}[| most| best].",
                "The colour [I like|I love|I prefer][| most| best] is {x}.",
            ),
            f"{colour.capitalize()} is a nice colour.",
            questions("my favourite colour", "[What|Which] colour do I [like|love|prefer][ most| best|]?"),
            f"Your favourite colour is {colour}.",
            {"x": colour},
        ),
        Told(
            (
                "I [live in|come from|am from|moved to|have a house in|grew up in|was born in] {x}.",
                "My [city|home|home town|town] is {x}.",
                "[The city|The town|The place] [I live in|I am from|I come from|where I live] is {x}.",
            ),
            f"{city} is a good place.",
            questions(
                "my [city|home town|home]",
                "[Where|In which city|In what city] do I live?",
                "[Which|What] city [do I live in|am I from|is my home]?",
                "Where [am I from|is my home]?",
                "Do you [know|remember] where I [live|am from]?",
            ),
            f"You live in {city}.",
            {"x": city},
        ),
        Told(
            (
                "My favourite food is {x}.",
                "[I like|I love] to eat {x}[| most| best].",
                "The food [I like|I love][| most| best] is {x}.",
            ),
            f"{food.capitalize()} sounds tasty.",
            questions("my favourite food", "[What|Which food] do I [like|love] to eat[ most| best|]?"),
            f"Your favourite food is {food}.",
            {"x": food},
        ),
        Told(
            ("I have a {a} [called|named] {x}.", "My {a} is [called|named] {x}."),
            f"{pet} is a fine name for a {animal}.",
            questions("[the name of my {a}|my {a}'s name]", "[What|How] is my {a} [called|named]?"),
            f"Your {animal} is called {pet}.",
            {"x": pet, "a": animal},
        ),
        Told(
            ("I [am|work as|earn my living as] a {x}.", "My [job|profession] is {x}."),
            f"A {job} is a fine job to have.",
            questions("my [job|profession]", "What do I [do for a living|work as|do]?", "What is my [work|trade]?"),
            f"You are a {job}.",
            {"x": job},
        ),
        Told(
            ("I am {x} years old.", "My age is {x}.", "I [just|have just|recently] turned {x}."),
            "Thank you for telling me.",
            questions(
                "my age", "How old [am I|did I say I am]?", "[Tell me|Do you know|Do you remember] how old I am[?|.]"
            ),
            f"You are {age} years old.",
            {"x": str(age)},
        ),
        Told(
            ("[The|My] [secret |]code is {x}.", "[Remember|Please remember|Keep in mind] the [number|code] {x}."),
            "I will remember it.",
            questions("the [code|number|secret code]", "[Which|What] [number|code] did I [give|tell] you?"),
            f"The code is {code}.",
            {"x": str(code)},
        ),
        Told(
            (
                "[The|My] [secret word|password|magic word] is {x}.",
                "[Remember|Please remember|Keep in mind] the word {x}.",
            ),
            "I will remember it.",
            questions("the [word|secret word|password]", "[Which|What] word did I [give|tell] you?"),
            f"The word is {secret}.",
            {"x": secret},
        ),
        Told(
            (
                "My [best |]friend is [called|named] {x}.",
                "{x} is my [best |]friend.",
                "I have a friend [called|named] {x}.",
            ),
            f"{friend} sounds like a good friend.",
            questions(
                "[the name of my friend|my friend's name]",
                "[What|How] is my friend called?",
                "Who is my [best |]friend?",
            ),
            f"Your friend is called {friend}.",
            {"x": friend},
        ),
        Told(
            (
                "I [bought|lost|found|need|saw] a {x}[| today| yesterday].",
                "[Today|Yesterday] I [bought|lost|found|saw] a {x}.",
            ),
            f"A {item} is a useful thing.",
            questions(
                "the thing [that I named|I told you about|I mentioned]",
                "[Which|What] thing [was it|did I tell you about|did I name|did I mention]?",
            ),
            f"It was a {item}.",
            {"x": item},
        ),
    ]


def said(w: World, fact: Told) -> str:
    """Tell a fact."""
    return grammar(w.say(*fact.said, **fact.slots))


def asked(w: World, fact: Told) -> str:
    """Ask for a fact."""
    return grammar(w.say(*fact.asked, **fact.slots))


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


def memory_at(w: World, distance_tokens: int, facts: int) -> Chat:
    """Facts, of which one or more are asked for about so many tokens after they were told."""
    known = w.rng.sample(told_facts(w), facts)
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
    return memory_at(w, 300, w.of((1, 2, 3)))


def memory_1000(w: World) -> Chat:
    """A fact asked for after some 1,000 tokens."""
    return memory_at(w, 1000, w.of((1, 2, 3)))


def long_memory(w: World) -> Chat:
    """A fact asked for after any time."""
    facts = w.rng.randint(1, 9)
    distance = w.rng.randint(600, LONGEST_TOKENS - FACT_TOKENS * facts) if w.chance(0.6) else w.rng.randint(60, 450)
    return memory_at(w, distance, facts) if w.chance(0.5) else memory_throughout(w, distance)


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
