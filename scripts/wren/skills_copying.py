"""Skills that copy from the prompt: repeating, picking words, extraction, and lists written twice."""

from __future__ import annotations

import json
from typing import Any

from wren import words
from wren.world import Chat, Part, World, single

REPEAT = (
    "[Please |][repeat|copy|echo|say|write|print][ after me| this| exactly| the text|]: {x}",
    "[Please |][reply|answer|respond] with [exactly|only|just][ this| the text|]: {x}",
    "[Say|Repeat|Write] [exactly |the words |]{x}",
    "[Reply|Answer|Respond] with [the word|the text|exactly] {x}",
    "[Quote|Give] [this|the text] back[ to me|]: {x}",
    "[Type|Output|Print|Return|Spell] [this|the text|the following|these words][ exactly|]: {x}",
    "[Can|Could|Would] you [say|repeat|write|copy] [this|the text|the words]: {x}",
    "[I want you to|You must|Now] [say|repeat|write|copy][ this|]: {x}",
)


def copying(w: World) -> Chat:
    """Repeat a text to the letter."""
    kind = w.rng.random()
    text = w.phrase(1, 7)
    if kind < 0.15:
        text = w.phrase(1, 3) + w.of((".", "!", "?"))
    elif kind < 0.3:
        text = sentence(w)
    elif kind < 0.38:
        text = " ".join(w.of((w.letters, lambda: str(w.number()), w.invented))() for _ in range(w.rng.randint(1, 3)))
    quote = w.of(('"', '"', "'", "", ""))
    return single(w.say(*REPEAT, x=quote + text + quote), text, "I repeat the text.")


def sentence(w: World) -> str:
    """Return a sentence of any content."""
    name, thing, other = w.name(), w.word(words.OBJECTS), w.word(words.FOODS)
    return str(
        w.of(
            (
                f"{name} put the {thing} next to the {other}.",
                f"The {thing} in {w.city()} is {w.word(words.COLOURS)}.",
                f"{name} and {w.name()} went to the {w.word(words.PLACES)}.",
                f"There are {w.number(2)} {thing}s in the {w.word(words.PLACES)}.",
                f"{name} paid {w.number(1)} dollars for a {thing}.",
                f"My {w.word(words.ANIMALS)} likes {other} and {w.word(words.FOODS)}.",
            )
        )
    )


def text_work(w: World) -> Chat:
    """Pick a word, turn words around, write a list, write a word several times."""
    kind = w.rng.randrange(8)
    items = [w.thing() for _ in range(w.rng.randint(3, 6))]
    quote = w.of(('"', '"', "'", ""))
    if kind < 3:
        place, i = w.of((("first", 0), ("last", -1), ("second", 1)))
        user = w.say(
            "[What|Which] is the {p} word [of|in][ this| this text| the sentence|]: {x}?",
            "[Give me|Tell me|Write|Say] the {p} word of[ this| this text|]: {x}",
            p=place,
            x=quote + " ".join(items) + quote,
        )
        return single(user, items[i].split()[0 if i >= 0 else -1], f"I look for the {place} word.")
    if kind == 3:
        user = w.say(
            "[Reverse|Turn around|Flip] the [order of the words|word order|words][ in this text|]: {x}",
            "[Write|Say] the words in reverse[ order|]: {x}",
            x=" ".join(items),
        )
        return single(user, " ".join(reversed(items)), "I begin at the end.")
    if kind < 6:
        user = w.say(
            "[Make|Write|Turn this into] a [bullet |]list[ of these| of|]: {x}",
            "[List|Put] [these|the words] [on separate lines|line by line]: {x}",
            x=", ".join(items),
        )
        return single(user, "\n".join(f"- {item}" for item in items), "I write a list.")
    word, times = w.thing(), w.rng.randint(2, 5)
    user = w.say("[Say|Write|Repeat|Print] [the word |]{x} {n} times.", x=word, n=times)
    return single(user, " ".join([word] * times), f"I write it {times} times.")


def person_fields(w: World, name: str) -> list[tuple[str, str, Any]]:
    """Return what may be said of a person: key, clause, value."""
    return [
        ("age", "is {} years old", w.rng.randint(3, 95)),
        ("city", "lives in {}", w.city()),
        ("job", "works as a {}", w.word(words.JOBS)),
        ("food", "likes {}", w.word(words.FOODS)),
        ("pet", "has a {}", w.word(words.ANIMALS)),
        ("colour", "wears {}", w.word(words.COLOURS)),
        ("item", "bought a {}", w.word(words.OBJECTS)),
        ("price", "paid {} dollars", w.number(1, 500)),
        ("email", "writes from {}", f"{name.lower()}@{w.invented()}.com"),
        ("id", "has the number {}", w.number(10)),
        ("friend", "knows {}", w.name()),
        ("code", "uses the code {}", w.letters()),
    ]


def json_of(w: World) -> Chat:
    """An object of fields that are said one by one."""
    name = w.name()
    chosen = w.rng.sample(person_fields(w, name), w.rng.randint(1, 4))
    values = {"name": name} | {key: value for key, _, value in chosen}
    keys = w.rng.sample(list(values), w.rng.randint(1, len(values)))
    user = w.request(
        "[Write|Make|Create|Give me|Return] [a JSON object|JSON|an object in JSON] with {x}.",
        "[Put|Turn|Write] {x} [into|as] JSON.",
        "[JSON|As JSON], [with|please,] {x}.",
        x=listed([f"{key} {values[key]}" for key in keys]),
    )
    return single(user, json.dumps({key: values[key] for key in keys}, ensure_ascii=False), "I write JSON.")


def listed(items: list[str]) -> str:
    """Join with commas and a last "and"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def extraction(w: World) -> Chat:
    """Fields of a sentence as JSON."""
    name = w.name()
    is_train = w.side == "train"  # which sees more of the long ones, since those take longer to learn
    chosen = w.rng.sample(person_fields(w, name), w.of((1, 2, 3, 4, 4, 5)) if is_train else w.rng.randint(1, 4))
    clauses = [clause.format(value) for _, clause, value in chosen]
    text = f"{name} {' and '.join(clauses) if len(clauses) < 3 else listed(clauses)}."
    values = {"name": name} | {key: value for key, _, value in chosen}
    fewest = len(values) // 2 + 1 if is_train and w.chance(0.5) else 1
    keys = w.rng.sample(list(values), w.rng.randint(fewest, len(values)))
    user = w.say(
        "[Extract|Get|Find|Give me|Return] [the |]{k} [as|in] JSON[: | from this text: | from: ]{t}",
        "[Return|Write|Make|Give me] [a JSON object|JSON] with [the keys |the fields |]{k}"
        "[: | from this text: | for: ]{t}",
        "{t} [Extract|Return|Give me] [the |]{k} as JSON.",
        "[Turn|Convert|Change|Put] this [into|to] JSON with [the keys |the fields |]{k}: {t}",
        "[What are|What is|Tell me|I need] [the |]{k} [as|in] JSON[: |? ]{t}",
        "{t} [Write|Make|Build] [a JSON object|JSON] with [the keys |the fields |]{k}.",
        "[Read this and return|Find in this text|Take from this] [the |]{k} as JSON: {t}",
        k=listed(keys),
        t=text,
    )
    answer = json.dumps({key: values[key] for key in keys}, ensure_ascii=False)
    chat = single(user, "", f"The keys are {listed(keys)}.")
    chat.messages[-1]["content"] = answer
    return chat


def repeated(w: World) -> list[Part]:
    """A list of words and numbers written twice: the shortest lesson in copying."""
    makers = (
        w.thing,
        w.thing,
        w.name,
        w.invented,
        w.letters,
        lambda: str(w.number()),
        lambda: f'"{w.thing()}": {w.number()}',
        lambda: f"{w.invented()}_{w.invented(1, 2)}",
        lambda: f'"{w.thing()}"',
    )
    text = w.of((" ", " ", ", ", "\n", "-")).join(w.of(makers)() for _ in range(w.rng.randint(4, 24)))
    quote = w.of(("", "", '"', "'"))
    return [(text + w.of(("\n", " = ", ": ")) + quote, 0), (text + quote + "<|endoftext|>", 1)]


def looked_up(w: World) -> list[Part]:
    """Pairs of words, and the second word of each asked for in another order: recall from far away, many times over."""
    pairs = {w.of((w.thing, w.name, w.letters))(): w.phrase(1, 2) for _ in range(w.rng.randint(6, 54))}
    joint = w.of((": ", " = ", " is ", " -> "))
    asked = w.rng.sample(list(pairs), w.rng.randint(len(pairs) // 2, len(pairs)))
    parts = [("\n".join(f"{key}{joint}{value}" for key, value in pairs.items()) + "\n\n", 0)]
    for key in asked:
        parts += [(key + joint, 0), (pairs[key] + "\n", 1)]
    return [*parts, ("<|endoftext|>", 0)]
