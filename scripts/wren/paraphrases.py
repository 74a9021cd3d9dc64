"""Sentences that say the same in other words, from the patterns of the corpus, for the embedding model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wren import facts, words
from wren.skills_facts import HOW_QUESTIONS, IDENTITY, MINUS, PLUS, SMALL_TALK, WHAT_QUESTIONS
from wren.skills_memory import told_facts
from wren.world import Side, World, grammar

STATEMENTS: tuple[tuple[str, ...], ...] = (
    (
        "{n} lives in {c}.",
        "{c} is [the home|the home town] of {n}.",
        "The [home|city] of {n} is {c}.",
        "{n} has a home in {c}.",
    ),
    (
        "{n} works as a {j}.",
        "{n} is a {j}.",
        "The [job|work] of {n} is being a {j}.",
        "{n} [earns money|makes a living] as a {j}.",
    ),
    (
        "{n} likes {f}.",
        "{n} [loves|enjoys] eating {f}.",
        "The [favourite|best loved] food of {n} is {f}.",
        "{f} tastes good to {n}.",
    ),
    (
        "{n} has a {a}.",
        "{n} [owns|keeps] a {a}.",
        "The [pet|animal] of {n} is a {a}.",
        "There is a {a} in the home of {n}.",
    ),
    (
        "The {o} is {k}.",
        "It is a {k} {o}.",
        "The [colour|shade] of the {o} is {k}.",
        "This {o} [has been painted|was painted] {k}.",
    ),
    (
        "{n} bought a {o}.",
        "{n} [paid for|purchased] a {o}.",
        "A {o} was [bought|purchased] by {n}.",
        "{n} got a {o} [in a shop|at the shop].",
    ),
    (
        "{n} lost the {o}.",
        "{n} [cannot find|can not find] the {o}.",
        "The {o} of {n} is [gone|lost|missing].",
        "{n} is [looking|searching] for the {o}.",
    ),
    (
        "What is the weather in {c}?",
        "How is the weather in {c} [today|now]?",
        "Is it [cold|warm|raining|sunny] in {c}?",
        "Tell me the [temperature|forecast] in {c}.",
    ),
    (
        "What time is it in {c}?",
        "Tell me the time in {c}.",
        "[Which hour|What hour] is it in {c} [now|at the moment]?",
        "I need the [local|current] time of {c}.",
    ),
    (
        "Send a message to {n}.",
        "[Write|Send] {n} a note.",
        "[Text|Message] {n} for me.",
        "Let {n} know [something|this].",
    ),
    (
        "Explain {t} to me.",
        "[Tell me|Teach me] something about {t}.",
        "What do you know about {t}?",
        "How does {t} work?",
        "Describe {t} [briefly|in detail].",
    ),
    (
        "How much does the {o} cost?",
        "What is the price of the {o}?",
        "Tell me what the {o} [costs|is worth].",
        "How [expensive|cheap] is the {o}?",
    ),
    (
        "Where is the {o}?",
        "[Find|Locate] the {o}.",
        "In which place is the {o}?",
        "I do not know where the {o} [is|was put].",
    ),
    ("Translate {w} into {l}.", "How do you say {w} in {l}?", "What is the {l} word for {w}?", "I need {w} in {l}."),
    ("The capital of {x} is {y}.", "{y} is the capital [city|] of {x}.", "{x} has the capital [city|] {y}."),
    (
        "There are {i} {o}s in the {p}.",
        "The {p} [has|holds|contains] {i} {o}s.",
        "In the {p} [one sees|stand|lie] {i} {o}s.",
    ),
    (
        "{n} went to the {p}.",
        "{n} [walked|travelled] to the {p}.",
        "{n} visited the {p}.",
        "The {p} was visited by {n}.",
    ),
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The patterns that say one thing, and the words in it; equal meanings are paraphrases."""

    patterns: tuple[str, ...]
    slots: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What two sentences of the same meaning share."""
        return repr((self.patterns, sorted(self.slots.items())))

    def said(self, w: World) -> str:
        """Return a sentence."""
        return grammar(w.say(*self.patterns, **self.slots))


def slots(w: World) -> dict[str, str]:
    """Return words for the statements."""
    country, city = w.of(list(words.CAPITALS.items()))
    return {
        "n": w.name(), "c": w.city(), "j": w.word(words.JOBS), "f": w.word(words.FOODS), "a": w.word(words.ANIMALS),
        "o": w.word(words.OBJECTS), "k": w.word(words.COLOURS), "t": w.word(words.TOPICS), "p": w.word(words.PLACES),
        "w": w.word(words.NOUNS), "l": w.of(words.LANGUAGES), "x": country, "y": city, "i": str(w.rng.randint(2, 99)),
    }  # fmt: skip


def meaning(w: World) -> Meaning:
    """Return something that can be said in several ways."""
    kind = w.rng.random()
    if kind < 0.5:
        return statement(w)
    if kind < 0.65:
        told = w.of(told_facts(w))
        return Meaning(told.said if len(told.said) > 1 and w.chance(0.4) else told.asked, told.slots)
    if kind < 0.72:
        a, b = w.rng.randint(0, 20), w.rng.randint(0, 20)
        return Meaning(w.of((PLUS[:-1], MINUS[:-1])), {"a": str(a), "b": str(b)})
    if kind < 0.8:
        asked, _ = w.of((*IDENTITY, *SMALL_TALK))
        return Meaning(asked, {"e": w.of((".", "!", ""))})
    pool, asked = w.of(
        (
            (facts.HOW, HOW_QUESTIONS),
            (facts.HOW, HOW_QUESTIONS),
            (facts.WHAT, WHAT_QUESTIONS),
            (facts.COMMAND_FACTS, WHAT_QUESTIONS),
        )
    )
    phrase, _ = w.of(pool)
    return Meaning(tuple(question.replace("{p}", phrase) for question in asked))


def statement(w: World) -> Meaning:
    """Return a statement or a request about something."""
    patterns, chosen = w.of(STATEMENTS), slots(w)
    used = {key: value for key, value in chosen.items() if any("{" + key + "}" in pattern for pattern in patterns)}
    return Meaning(patterns, used)


def other_words(w: World, known: Meaning) -> Meaning:
    """Return the same with one word changed, or another meaning where it has no words."""
    changeable = [key for key in known.slots if key not in ("e", "x", "y")]
    if not changeable:
        return meaning(w)
    key, fresh = w.of(changeable), slots(w)
    if key in ("a", "b") and known.slots[key].isdigit():
        return Meaning(known.patterns, {**known.slots, key: str(w.rng.randint(0, 20))})
    if known.patterns in STATEMENTS:
        return Meaning(known.patterns, {**known.slots, key: fresh[key]})
    return Meaning(known.patterns, {**known.slots, key: w.thing()})


@dataclass(frozen=True, slots=True)
class Triple:
    """Two sentences that mean the same and one that does not; `key` names the meaning."""

    anchor: str
    same: str
    other: str
    key: str


def bare(text: str) -> str:
    """Return a sentence without what careless typing changes."""
    return text.lower().strip(" .?!").replace("'s ", " is ").replace("i'm ", "i am ")


def triple(w: World) -> Triple | None:
    """Return a triple, or None where chance gave no good one; half of the others differ in one word alone."""
    known = meaning(w)
    anchor = known.said(w)
    same = next((text for _ in range(8) if bare(text := known.said(w)) != bare(anchor)), "")
    different = other_words(w, known) if w.chance(0.5) else meaning(w)
    return Triple(anchor, same, different.said(w), known.key) if same and different.key != known.key else None


def joined(parts: list[Triple]) -> Triple:
    """Return a longer triple: the same sentences in other words, and with other sentences from the middle on."""
    half = len(parts) // 2
    others = [*(part.same for part in parts[:half]), *(part.other for part in parts[half:])]
    texts = (" ".join(texts) for texts in ([p.anchor for p in parts], [p.same for p in parts], others))
    return Triple(*texts, key=" ".join(part.key for part in parts))


def triples(seed: int, side: Side) -> Iterator[Triple]:
    """Yield triples without end; one in eight is of several sentences."""
    w = World(seed, side)
    while True:
        count = w.rng.randint(2, 8) if w.chance(0.125) else 1
        w.is_trained = False
        parts = [part for _ in range(count) if (part := triple(w))]
        if len(parts) == count and not (side != "train" and w.is_trained and w.chance(0.9)):
            yield joined(parts) if count > 1 else parts[0]
