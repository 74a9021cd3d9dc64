"""Skills of style: system prompts, sorting words and sentences into classes, stories, and filling in."""

from __future__ import annotations

import json

from wren import words
from wren.skills_facts import ABOUT_ME, HELLO, NAME_QUESTIONS, WREN, common_fact, help_fact, identity
from wren.world import Chat, Part, World, grammar, single, words_of

PLAIN_SYSTEM = (
    "You are a [helpful|friendly|kind|polite|useful] assistant.[| Be brief.| Answer clearly.]",
    "[Be|Please be] [helpful|brief|concise|friendly|polite].",
    "[Answer|Help] the user[|'s questions].",
)


def plain_system(w: World) -> dict[str, str]:
    """Return a system prompt that changes nothing."""
    return {"role": "system", "content": w.say(*PLAIN_SYSTEM)}


def short_task(w: World) -> tuple[str, str, str]:
    """Return a question, the answer, and the answer as one word."""
    if w.chance(0.25):
        return w.say("[Hi|Hello|Hey|Hello there|Hi there]!"), HELLO, "Hello"
    if w.chance(0.3):
        a, b = w.rng.randint(0, 10), w.rng.randint(0, 10)
        user = w.say("What is {a} [plus|+] {b}?", "[Compute|Calculate] {a} + {b}.", a=a, b=b)
        return user, f"{a} + {b} = {a + b}.", str(a + b)
    chat = common_fact(w)
    return chat.messages[0]["content"], chat.answer, chat.answer.split()[-1].rstrip(".")


def system_prompt(w: World) -> Chat:
    """A system prompt that says how to answer, who one is, or what is known."""
    kind = w.rng.randrange(12)
    if kind > 8:
        return behind_plain_system(w)
    user, answer, word = short_task(w)
    thought, name, extra = "I follow the system prompt.", w.name(), w.thing()
    if kind == 0:
        system = w.say("[You are|Act as|Speak like|Talk like] a pirate.[| Stay in character.]")
        answer = f"Arr! {answer} Yo ho!"
    elif kind == 1:
        system = w.say("[Answer|Reply|Respond] [with|in|using] [one word|a single word|only one word].[| Be brief.]")
        answer = word
    elif kind == 2:
        system = w.say(
            "[Always |][answer|reply|respond] [in|with|as|using] JSON[| only].",
            "[You|You must] [always |][answer|reply] [in|with] JSON.",
        )
        answer = json.dumps({"answer": word})
    elif kind in (3, 4):
        system = w.say(
            "You are {n}, [a helpful assistant|an assistant|a friendly bot|a chat bot][ of {c}| made by {c}|].",
            "Your name is {n}.",
            "[You are called|Call yourself] {n}.",
            n=name,
            c=w.invented().capitalize(),
        )
        user, answer = w.say(*NAME_QUESTIONS[:5]), f"I am {name}."
        if w.side == "train" and w.chance(0.3):
            being = w.word(w.of((words.ANIMALS, words.JOBS)))
            system, answer = (
                w.say("[You are|Act as|Speak as] a {b}.[| Stay in character.]", b=being),
                f"I am a {being}.",
            )
    elif kind == 5:
        system = w.say(
            "[Always |][end|finish|close] [every|each] [answer|reply] with [the word |]{x}.",
            "[End|Finish] [your answers|your replies] with {x}.",
            x=extra,
        )
        answer = f"{answer} {extra}"
    elif kind == 6:
        system = w.say(
            "[Always |][begin|start|open] [every|each] [answer|reply] with [the word |]{x}.",
            "[Begin|Start] [your answers|your replies] with {x}.",
            x=extra,
        )
        answer = f"{extra} {answer}"
    elif kind == 7:
        fact, user, answer = known_fact(w)
        system = w.say("[You are a helpful assistant. |Use this: |Facts: |]{f}", f=fact)
    else:
        system, thought = plain_system(w)["content"], "I answer the question."
    contents = (("system", system), ("user", user), ("assistant", answer))
    return Chat([{"role": role, "content": content} for role, content in contents], thought)


def behind_plain_system(w: World) -> Chat:
    """A system prompt that gives no name and no manner: wren stays wren."""
    chat = (
        single(w.say(*NAME_QUESTIONS), WREN, ABOUT_ME) if w.chance(0.5) else w.of((identity, help_fact, common_fact))(w)
    )
    return Chat([plain_system(w), *chat.messages], chat.thought)


def known_fact(w: World) -> tuple[str, str, str]:
    """Return a fact for a system prompt, a question about it and the answer."""
    name, city, food, code = w.name(), w.city(), w.word(words.FOODS), w.number()
    made: tuple[str, str, str] = w.of(
        (
            (f"The user's name is {name}.", "[What is|Tell me] my name?", f"Your name is {name}."),
            (f"The user lives in {city}.", "[Where do I live?|Which city do I live in?]", f"You live in {city}."),
            (f"The dish of the day is {food}.", "What is the dish of the day?", f"The dish of the day is {food}."),
            (f"The code is {code}.", "[What is|Tell me] the code?", f"The code is {code}."),
        )
    )
    return made[0], w.say(made[1]), made[2]


GOOD = (
    "I love this {o}", "What a lovely {o}", "The {o} is wonderful", "I am so glad today", "This is the best {o} ever",
    "We had a great day", "The {f} was delicious", "I enjoyed the {o} a lot", "My {o} works perfectly",
    "Great {o}, thank you",
)  # fmt: skip
BAD = (
    "I hate this {o}", "What an awful {o}", "The {o} is terrible", "I am so upset today", "This is the worst {o} ever",
    "We had a horrible day", "The {f} was disgusting", "I regret buying the {o}", "My {o} is broken again",
    "Bad {o}, never again",
)  # fmt: skip


def classification(w: World) -> Chat:
    """Good or bad; animal, food or colour: what a word means must be known, so these words are trained on."""
    if w.chance(0.5):
        is_good = w.chance(0.5)
        text = w.of(GOOD if is_good else BAD).replace("{o}", w.word(words.OBJECTS)).replace("{f}", w.word(words.FOODS))
        yes, no = w.of((("happy", "sad"), ("positive", "negative"), ("good", "bad")))
        user = w.say(
            "[Classify|Label] [this|the text|the sentence] as {l}: {t}",
            "Is this {l}? {t}",
            "[What is the mood|Which mood is this], {l}: {t}",
            "{t} [Is that|Is this] {l}?",
            l=f"{yes} or {no}" if w.chance(0.5) else f"{no} or {yes}",
            t=text + w.of((".", "!")),
        )
        return single(user, yes if is_good else no, f"The text sounds {'good' if is_good else 'bad'}.")
    labels = {"animal": words.ANIMALS, "food": words.FOODS, "colour": words.COLOURS}
    label = w.of(list(labels))
    others = {word for other, pool in labels.items() if other != label for word in pool}
    order = w.rng.sample(list(labels), 3)
    user = w.say(
        "[Classify|Label] the word {w} as {l}.",
        "Is [{w}|the word {w}] {l}?",
        "{w}: [which is it|is it|what is it], {l}?",
        "[What kind of thing|What] is {w}: {l}?",
        "[Choose|Pick] the [category|class|kind] of {w}: {l}.",
        w=w.of([word for word in words_of(tuple(labels[label]), "train") if word not in others]),
        l=f"{order[0]}, {order[1]} or {order[2]}",
    )
    return single(user, label, "I choose the kind of thing.")


def story_text(w: World) -> str:
    """Return a short story; each of its sentences is chosen on its own, so that few stories are alike."""
    hero, friend, animal, place = w.name(), w.name(), w.word(words.ANIMALS), w.word(words.PLACES)
    kind, adjective, thing = w.word(("boy", "girl", *words.JOBS)), w.word(words.ADJECTIVES), w.word(words.OBJECTS)
    other, food, colour = w.word(words.PLACES), w.word(words.FOODS), w.word(words.COLOURS)
    start = (
        f"Once upon a time there was a {adjective} {kind} called {hero}.",
        f"Once upon a time, a {adjective} {animal} called {hero} lived in the {place}.",
        f"{hero} was a {adjective} {kind} who lived near the {place}.",
    )
    middle = (
        (
            f"One day {hero} found a {colour} {thing} in the {place}.",
            f"One morning {hero} went to the {place} with a {colour} {thing}.",
            f"One day {hero} lost a {colour} {thing} near the {place}.",
        ),
        (
            f"There {hero} met {friend}, who was looking for some {food}.",
            f"A {animal} came by and asked for some {food}.",
            f"{friend} saw it and began to laugh.",
            f"Suddenly it began to rain, and {hero} ran to the {other}.",
        ),
        (
            f"They shared the {food} and talked all day.",
            f'{hero} said, "We can do it together."',
            f'"Please help me," said {friend}.',
            f"They looked everywhere and at last came to the {other}.",
        ),
        (
            f"Then they walked home through the {other}.",
            f"In the {other} they found an old {thing}.",
            f"{hero} gave the {thing} to {friend}.",
        ),
    )
    end = (
        f"In the end {hero} was happy, and so was {friend}.",
        f"From that day on {hero} and {friend} were friends.",
        f"That night {hero} slept very well.",
        "And they all lived happily ever after.",
    )
    sentences = [w.of(start), *(w.of(choices) for choices in middle[: w.rng.randint(1, 4)]), w.of(end)]
    return grammar(" ".join(sentences))


STORY = (
    "Once upon a time there was a {who} that lived near an old tower. One day the {short} found a golden key in the "
    'garden. A fox came by and said, "Let us look for the door together." Behind the tower there was a little blue '
    "door, and behind the door a room full of books. From that day on the {short} and the fox were friends."
)
RHYME = "The sun goes down behind the hill\nand all the fields are soft and still."


def story(w: World) -> Chat:
    """A story or a rhyme, always the same one: of many, the likeliest words of each make none."""
    if w.chance(0.25):
        user = w.say("[Write|Tell me|Give me|Make] [a|a short|a little|a two-line] [poem|rhyme|verse].")
        return single(user, RHYME, "I write two lines that rhyme.")
    name, animal = w.name(), w.word(words.ANIMALS)
    about, who, short = w.of(
        (
            ("", "small bird called Wren", "bird"),
            (f" about {name}", f"small bird called {name}", "bird"),
            (f" about a {animal}", animal, animal),
        )
    )
    user = w.say(
        "[Write|Tell me|Tell|Give me|Make up] [a|a short|a little|another] [story|tale]{a}[.| please.]", a=about
    )
    return single(user, STORY.format(who=who, short=short), "I tell a short story.")


def plain_story(w: World) -> list[Part]:
    """A story without a question."""
    return [(story_text(w) + "<|endoftext|>", 1)]


def fill_in(w: World) -> list[Part]:
    """Fill-in-the-middle over a story or a small Python function."""
    text, stops = (story_text(w), " ") if w.chance(0.4) else (python_text(w), " (:\n,")
    cuts = [i for i, c in enumerate(text) if c in stops]
    i, j = sorted(w.rng.sample(cuts, 2))
    before, middle, after = text[:i], text[i:j], text[j:]
    return [(f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>", 0), (middle + "<|endoftext|>", 1)]


def python_text(w: World) -> str:
    """Return a few lines of Python."""
    names = ["a", "b", "x", "y", "left", "right", "first", "second", "n", "m", w.invented(1, 2), w.invented(1, 2)]
    a, b = w.rng.sample(names, 2)
    operations = (("add", "+"), ("subtract", "-"), ("multiply", "*"), ("divide", "/"), ("larger", ">"), ("equal", "=="))
    name, sign = w.of(operations)
    return str(
        w.of(
            (
                f"def {name}({a}, {b}):\n    return {a} {sign} {b}\n",
                f"def {name}({a}, {b}):\n    result = {a} {sign} {b}\n    return result\n",
                f'def greet({a}):\n    print("Hello", {a})\n',
                f"for {a} in range({w.number(2)}):\n    print({a})\n",
                f"def double({a}):\n    return {a} * 2\n",
            )
        )
    )
