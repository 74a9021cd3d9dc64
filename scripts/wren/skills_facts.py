"""Skills that answer from what is known: who wren is, ollamapy's facts, everyday facts, and small numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from wren import facts, words
from wren.world import Chat, Part, World, single

ABOUT_ME = "The user asks about me. I say what I am."
WREN = "I am Wren, the small model that comes with ollamapy."
SKILLS = (
    "I can chat a little, explain ollamapy, call tools, write JSON, repeat text, add small numbers and tell short "
    "stories."
)
NAME_QUESTIONS = (
    "[Who|What] are you?",
    "[What is|Tell me] your name[?|, please?]",
    "[Please |]introduce yourself.",
    "[Tell me|Say] who you are.",
    "Who am I [talking|speaking] to?",
    "[What|Which] [model|language model|assistant] [are you|is this|am I talking to]?",
    "[Hello|Hi|Hey], who are you?",
    "[Do you have|Have you got] a name?",
    "Are you [ChatGPT|Llama|Claude|Gemini|Qwen|Mistral|a human|a person|a robot|a machine]?",
)
IDENTITY = (
    (NAME_QUESTIONS, WREN),
    (
        (
            "Who [made|built|created|trained|wrote] you?",
            "Where do you come from?",
            "[Who is|Tell me] your [maker|author|creator]?",
            "How were you [made|built|created|trained]?",
        ),
        "The ollamapy project made me. I was trained from scratch on text written by a program.",
    ),
    (
        (
            "What can you [do|help with|do for me|tell me|answer]?",
            "[How can|Can] you help[ me|]?",
            "[What|Which] [things|tasks|jobs] can you do[ for me|]?",
            "[I need|Give me] help.",
            "What are you [good|useful] for?",
            "[What are|Tell me|List|Name] your [skills|abilities].",
        ),
        SKILLS,
    ),
    (
        (
            "[How|Just how] [big|large|small|tiny] are you?",
            "[What is|Tell me|Say] your size[?|.]",
            "How many [parameters|weights|bytes] do you [have|need]?",
            "Are you a [big|large|small|tiny] model?",
        ),
        "I am tiny: about seven million parameters.",
    ),
    (
        (
            "[Are you|How|You are] [smart|clever|intelligent|wise|good|reliable][| are you|, right|, are you not]?",
            "[Do you know|Can you answer|Do you understand] [everything|a lot|much|anything]?",
            "[Can|May|Should|Must] I [trust|believe|rely on] [you|your answers|what you say]?",
            "[Are you|Are your answers|Is what you say] [always|ever|often|never] [right|wrong|true|correct]?",
        ),
        "No, I am very small and often wrong. For real work try `ollamapy pull llama3.2`.",
    ),
)
HELLO = "Hello! How can I help you?"
SMALL_TALK = (
    (("[Hi|Hello|Hey|Good morning|Good evening|Good afternoon|Greetings|Hey there|Hi there|Hello there]{e}",), HELLO),
    (("[Hi|Hello|Hey|Good morning|Good evening|Good afternoon] [Wren|there|again|to you|friend|all]{e}",), HELLO),
    (
        (
            "How are [you|things][ today| doing| going| now|]?",
            "How is it going[ today|]?",
            "[Are you|You] [well|fine|good|all right][ today|]?",
        ),
        "I am fine, thank you. How can I help you?",
    ),
    (
        (
            "[Thanks|Thank you|Many thanks] [for your help|for that|again|a lot|Wren]{e}",
            "[Thanks|Thank you|Thank you very much|Thanks a lot|Many thanks|Thank you so much|Great, thanks]{e}",
        ),
        "You are welcome!",
    ),
    (
        (
            "[Bye|Goodbye|See you|Good night|See you later|Bye bye|Until tomorrow]{e}",
            "[Bye|Goodbye|See you|Good night] [now|then|soon|tomorrow|Wren|and thanks]{e}",
        ),
        "Goodbye!",
    ),
    (
        (
            "[ok|Okay|Good|Great|Fine|Cool|Nice|I see|All right|Very good|Perfect]{e}",
            "[That is|Very|All] [good|great|fine|cool|nice|well|right|clear]{e}",
        ),
        "Good. What else can I do for you?",
    ),
    (
        (
            "[Test|Testing|Ping|Is this on?|Are you there?|Can you hear me?|Anybody there?]",
            "[Test|Testing|Ping|Just a test|A test][.|!|?| 1 2 3]",
            "[Are you|Is anybody|Is anyone|Is somebody] [there|here|listening|awake|on|up][ now|]?",
        ),
        "Yes, I am here.",
    ),
)


def identity(w: World) -> Chat:
    """Who wren is, and small talk."""
    if w.chance(0.62):
        asked, answer = w.of(IDENTITY)
        return single(w.say(*asked), answer, ABOUT_ME)
    asked, answer = w.of(SMALL_TALK)
    return single(w.say(*asked, e=w.of((".", "!", "", "!"))), answer, "This is small talk. I answer politely.")


UNKNOWN = (
    "[Explain|Describe|Summarise|Discuss] {t}[ to me| in detail| briefly|].",
    "[Please |][write|compose] [an essay|a report|an article|a book|a paper] about {t}.",
    "[Tell me|Teach me|What do you know] [something |all |a bit |]about {t}[.|?]",
    "What is the [future|theory|history|meaning|purpose] of {t}?",
    "[How|Why|When|Where] [do|does|did] {t} [work|begin|start|change|develop|spread|grow|end|happen|come about]?",
    "[Why is|Why are] {t} [important|interesting]?",
    "[Give|Write] me [a summary|an overview|a list of facts] [of|about] {t}.",
    "[Can|Could|Would] you [explain|describe|summarise|discuss] {t}[ to me| for me|]?",
    "I [want|need|would like] to [learn|know|hear|read] [more |something |]about {t}.",
    "What [is|are] {t}?",
    "[Give me|I need|I want] [information|details|some facts|advice|hints|news] [on|about] {t}.",
    "What can you [say|tell me] about {t}?",
    "Do you know [anything|something|much|a lot] about {t}?",
    "[Help me|I want to|Let me] understand {t}.",
    "[How|Why] [do|does|did] {t} [work|fail|matter|change|exist|last|move|help|behave|survive|break|evolve]?",
    "[How|When|Where] [will|can|could|would] {t} [work|end|change|grow|start|spread|improve|return|arise|appear]?",
    "[Explain|Tell me|Say|Show me] [how|why] {t} [works|changed|began|spread|grew|failed|matters|exists|helps].",
    "[Who|What] [invented|discovered|changed|started|made|built|studies|needs|likes] {t}?",
    "[Outline|Define|Analyse|Review|Describe] {t}[.| please.| for me.| in short.]",
    "[What|How much] do [people|we|experts] [know|say|think] about {t}?",
    "[Is|Are|Was|Were] {t} [real|old|useful|dangerous|expensive|popular|difficult|common]?",
    "What are the [main|basic|key] [ideas|facts|principles] [of|behind] {t}?",
)


def some_topic(w: World, known: float) -> str:
    """Return a topic of the list, or any words."""
    return w.word(words.TOPICS) if w.chance(known) else str(w.of(("the ", "", ""))) + w.phrase(1, 2)


UNKNOWN_WORDS = frozenset(re.findall(r"\w+", " ".join(UNKNOWN).lower()))
MORE_UNKNOWN = (
    "[How|Why|When|Where] [do|does|did|will|can|could|would] {t} {v}?",
    "[Explain|Tell me|Say|Show me] [how|why|when|where] {t} {v}s.",
    "[What|Who] {v}s {t}?",
    "[How|Why] [do|does|did|will] [people|we|they|you|some] {v} {t}?",
    "[Is|Are|Was|Were|Will] {t} {a}?",
    "[What|Who] {v}ed {t}?",
    "[Explain|Describe|Discuss|Define|Outline] {t} [for {n}|with {a} words|{a}ly|to {n}].",
    "[{v}|Please {v}] {t} [for {n}|with {a} words|{a}ly|as they {v}].",
    "[Explain|Describe|Discuss|Define|Outline|Review|Analyse] {t} [at length|in a few words|as a list|simply|again].",
    "[How|Why|When] [do|does|did|will] {t} [collapse|expand|shrink|vanish|rise|fall|form|differ|emerge|stop|recover]?",
    "[Is|Are|Was|Were] {t} [cheap|boring|famous|healthy|legal|safe|rare|modern|simple|good|bad|fun|fragile]?",
    "[What|Who] [caused|ended|owned|ruled|improved|wrote about|paid for|stopped|supports] {t}?",
    "[Compare|Rank|Judge|Criticise|Defend] {t}[.| please.| for me.]",
    "[Write|Show me|Give me] [a program|code|a script|a function|a poem|a song] [for|about|that uses] {t}.",
    "[Can you |Please |]help me [with|fix|repair|to fix|to build] {t}.",
    "[What is the capital of|Which city is the capital of|Name the capital of|Tell me the capital of] {t}?",
    "[What is|Tell me] the opposite of {t}?",
    "[Translate|Put] {t} [into|to] [French|German|Spanish].",
    "How do you say {t} in [French|German|Spanish|Italian]?",
    "[Where|Who|Which] [is|are|was|were] {t}?",
    "[Can|Could|Would|Will] you [help me with|fix|repair|improve|check|test|review|build|draw|plan|sort] {t}?",
    "[How|Where] [do|can|should] I [buy|find|fix|build|learn|cook|grow|draw|repair|plan|use|win|install] {t}?",
    "[Is|Are|Was|Were] {t} [a|the] {a} {o}?",
    "[Is|Are|Was|Were] {t} [a|the|like a] {o}?",
    "[Do|Does|Did|Should|Must] [I|you|we|they|people] [need|like|want|have|know|understand|use] {t}?",
    "[What|Which] {t} [is|are] [best|good|right|the best one|new|missing]?",
    "[Recommend|Suggest|Find|Name|List] {t}[.| please.| for me.|!]",
)


def any_topic(w: World) -> str:
    """Return a topic as it may be named, often in several words, all of which belong to it."""
    if w.chance(0.45):
        return some_topic(w, known=0.7)
    thing, other = (w.word(w.of(TOPIC_WORDS)) + w.of(("", "s", "s")) for _ in range(2))
    before = w.word(w.of((words.ADJECTIVES, words.NOUNS, words.COLOURS, words.CITIES, words.OBJECTS)))
    verb, city, ours = w.word(words.VERBS), w.city(), w.of(OUR_WORDS)
    topic: str = w.of(
        (
            thing,
            thing,
            f"{before} {thing}",
            f"{before} {thing}",
            f"the {before} {thing}",
            f"the {thing} of {city}",
            f"{thing} in {city}",
            f"{thing} and {other}",
            f"{thing} {verb}ing",
            f"{verb}ing {thing}",
            w.of(words.OTHER_COUNTRIES),
            f"the {w.invented().capitalize()} {thing}",
            f"{w.name()} {w.invented().capitalize()}",
            f"{before} {other} {thing}",
            f"the {other} of the {thing}",
            f"{ours} {thing}",
            f"{before} {ours}s",
            f"my {thing}",
            f"a {thing}",
            f"{w.of(('my', 'this', 'our', 'your', 'a'))} {before} {thing}",
            f"{ours} {verb}ing",
            w.blend(OUR_WORDS) + w.of(("", "s", f" {thing}")),
            w.invented(2, 4),
        )
    )
    return topic


# Words of what wren knows: in a topic they mean something else.
OUR_WORDS = (
    "blue", "green", "light", "sound", "sun", "moon", "sky", "cat", "capital", "weather", "time", "price", "number",
    "prime", "first", "file", "text", "message", "model", "token", "seed", "stop", "size", "name", "code", "word",
    "log", "system", "key", "port", "context", "memory", "list", "top", "help", "data", "cloud", "image", "chat",
    "tool", "show", "template", "registry", "temperature", "license", "pull", "serve", "store", "daemon", "stream",
    "Modelfile",
)  # fmt: skip
KNOWN_WORDS = {*words.TRANSLATIONS, *words.CAPITALS, *words.OPPOSITES, *words.OPPOSITES.values()}
TOPIC_WORDS = (words.NOUNS, words.OBJECTS, words.ANIMALS, words.FOODS, words.PLACES, words.JOBS)


def other_word(w: World, pool: Sequence[str]) -> str:
    """Return a word that is part of no question, so that what is asked with it is none of an evaluation's."""
    word = w.word(pool)
    return w.invented() if word.lower() in UNKNOWN_WORDS else word


def about_unknown(w: World) -> tuple[str, str]:
    """Return a question, and the topic that wren knows nothing about."""
    if w.side != "train":
        topic = some_topic(w, known=0.7)
        return w.say(*UNKNOWN, t=topic), topic
    topic = any_topic(w)
    while topic.removeprefix("the ") in KNOWN_WORDS:
        topic = any_topic(w)
    asked = MORE_UNKNOWN if w.chance(0.35) else UNKNOWN
    verb, adjective, thing = (other_word(w, pool) for pool in (words.VERBS, words.ADJECTIVES, words.OBJECTS))
    return w.request(*asked, t=topic, v=verb, a=adjective, o=thing, n=w.name()), topic


ADMITTED = ("I am a very small model", "Try a larger one: `ollamapy pull llama3.2`.")


def unknown(w: World) -> Chat:
    """A topic that wren knows nothing about: what counts is that it says so, and what to pull."""
    return replace(unknown_topic(w), says=ADMITTED)


def unknown_topic(w: World) -> Chat:
    """The same, where the topic must be named to the letter, too."""
    user, topic = about_unknown(w)
    answer = f"{ADMITTED[0]} and know too little about {topic}. {ADMITTED[1]}"
    return single(user, answer, "I do not know enough about this.")


def topics(w: World) -> list[Part]:
    """A page of questions with their topics: where a topic begins and ends, many times over."""
    parts = list[Part]()
    for _ in range(w.rng.randint(6, 24)):
        user, topic = about_unknown(w)
        parts += [(f"{user}\nI know too little about", 0), (f" {topic}.\n", 1)]
    return [*parts, ("<|endoftext|>", 0)]


HOW_QUESTIONS = (
    "How [do|can|would|should] I {p}?",
    "[What is|Which is|Tell me|Show me|Give me] the command to {p}.",
    "I [want|need|would like] to {p}.",
    "[Please |]explain how to {p}.",
    "How to {p}?",
    "[Can you tell me|Do you know|Show me] how to {p}?",
    "What [should|must|do] I [do|type] to {p}?",
    "[Is there a way|Is it possible|What is the way] to {p}?",
    "[Help|Help me|I am trying to] {p}.",
    "[Which|What] command [can|will|is there to] {p}?",
)
MORE_HOW = (  # no questions, or none about how, so no evaluation asks them
    *HOW_QUESTIONS,
    "[|Please |Now |Just ]{p}[.|!]",
    "{p}[| please| now| for me]",
    "[Can|Could|Would] you {p}[| for me|, please]?",
)
WHAT_QUESTIONS = (
    "What is {p}?",
    "What does {p} [mean|do]?",
    "[Explain|Describe|Define] {p}.",
    "[Tell me|Teach me] about {p}.",
    "[Can|Could] you explain {p}?",
    "[What|Tell me what] is {p}[ in ollamapy| used for|]?",
    "I do not [understand|know] {p}.",
    "What [is the meaning of|do you mean by] {p}?",
)


def help_fact(w: World) -> Chat:
    """What our --help and documents say."""
    kind = w.rng.random()
    pool, asked = (
        (facts.HOW, MORE_HOW if w.side == "train" else HOW_QUESTIONS)
        if kind < 0.43
        else (facts.WHAT, WHAT_QUESTIONS)
        if kind < 0.62
        else (facts.COMMAND_FACTS, WHAT_QUESTIONS)
        if kind < 0.71
        else (facts.VARIABLE_FACTS, WHAT_QUESTIONS)
        if kind < 0.82
        else (facts.OTHER, ("{p}",))
    )
    phrase, answer = w.of(pool)
    user = w.say(*(question.replace("{p}", phrase) for question in asked))
    about = "the world" if pool is facts.OTHER and "ollamapy" not in answer else "ollamapy"
    return single(user, answer, f"This is about {about}.")


MORE_CAPITALS = (
    "[The |]capital [city |]of {x}[?| please.]",
    "The capital of {x} is",
    "I [want|need|would like] to know the capital of {x}.",
    "[Do you know|Can you tell me|Could you say] [the|what is the] capital of {x}?",
    "{x}: what is its capital?",
)
CITY_QUESTIONS = (
    "[Where|What] is {x}?",
    "[In which country|Where] [is|lies] [the city of |]{x}?",
    "[Tell me|Say|Do you know] where {x} is[.|?]",
)


def capital(w: World) -> Chat:
    """A capital and its country, asked for in more ways than an evaluation has."""
    country, city = w.of(list(words.CAPITALS.items()))
    user = w.request(*CITY_QUESTIONS, x=city) if w.chance(0.15) else w.request(*MORE_CAPITALS, x=country)
    answer = f"{city} is the capital of {country}." if city in user else f"The capital of {country} is {city}."
    return single(user, answer, "I know this fact.")


def told(w: World) -> list[Part]:
    """A page of everyday facts without a question."""
    gap, parts = w.of((" ", "\n")), list[Part]()
    for _ in range(w.rng.randint(3, 16)):
        fact = common_fact(w).answer
        while fact.startswith("That"):
            fact = common_fact(w).answer
        head, last = fact.rsplit(" ", 1)
        parts += [(head, 0 if parts else 1), (f" {last}{gap}", 1)]
    return [*parts, ("<|endoftext|>", 0)]


def labelled(w: World) -> Chat:
    """A question as some clients write one that had no conversation around it."""
    chat: Chat = w.of((identity, help_fact, common_fact, capital, arithmetic, translation, unknown))(w)
    asker, answerer = w.of((("user", "assistant"), ("User", "Assistant"), ("Human", "AI"), ("Q", "A")))
    gap, end = w.of(("\n", " ")), w.of(("\n", "\n\n"))
    last = f"{asker}:{gap}{chat.messages[-2]['content']}{end}{answerer}:"
    chat.messages[-2] = {"role": "user", "content": last + w.of(("", "\n"))}
    return chat


def common_fact(w: World) -> Chat:
    """Capitals, opposites and the sounds of animals."""
    country, city = w.of(list(words.CAPITALS.items()))
    a, b = w.of(list(words.OPPOSITES.items()))
    a, b = (a, b) if w.chance(0.5) else (b, a)
    animal, sound = w.of(list(words.SOUNDS.items()))
    user, answer = w.of(
        (
            (
                (
                    "[What|Which] is the capital [city |]of {x}?",
                    "[Name|Tell me|Give me|Say|Do you know] the capital [city |]of {x}.",
                    "[Which|What] city is the capital of {x}?",
                ),
                (country, f"The capital of {country} is {city}."),
            ),
            (
                (
                    "[What is|Which word is|What would be] the opposite of [the word |]{x}?",
                    "[Tell me|Give me|Name|Say] the opposite of [the word |]{x}.",
                ),
                (a, f"The opposite of {a} is {b}."),
            ),
            (
                (
                    "[What|Which] [sound|noise] does a {x} make?",
                    "[What|Tell me what] does a {x} say?",
                    "How does a {x} [sound|go|talk]?",
                    "[Name|Tell me|Write] the [sound|noise] of a {x}.",
                ),
                (animal, f"A {animal} says {sound}."),
            ),
            (
                ("[Which|What] animal [says|makes|goes] {x}?", "[Name|Tell me] the animal that says {x}."),
                (sound, f"That is a {animal}."),
            ),
        )
    )
    return single(w.say(*user, x=answer[0]), answer[1], "I know this fact.")


EXAMPLES = (
    ("[Name|Tell me|Give me|Say] [a|one|any] [colour|color].", "Blue is a colour."),
    ("[Name|Tell me|Give me|Say] [an|one|any] animal.", "A fox is an animal."),
    ("[Name|Tell me|Give me|Say] [a|one|any] [fruit|food].", "An apple is a fruit."),
)


def example(w: World) -> Chat:
    """One thing of a kind."""
    asked, answer = w.of(EXAMPLES)
    return single(w.say(asked), answer, "This is about the world.")


def translation(w: World) -> Chat:
    """One of forty words in another language."""
    english, forms = w.of(list(words.TRANSLATIONS.items()))
    language = w.of(list(forms))
    user = w.say(
        "[Translate|Put] [{q}{w}{q}|the word {w}] [into|to] {l}.",
        "What is [the {l} word for|the {l} for] [{w}|{q}{w}{q}]?",
        "How [do you|do I|would you] say {w} in {l}?",
        "[Say|Write] {w} in {l}.",
        w=english,
        l=language,
        q=w.of(('"', "'", "")),
    )
    return single(user, forms[language], f"This is a word in {language}.")


PLUS = (
    "What is {a} [plus|+] {b}?",
    "[Add|Sum] {a} and {b}.",
    "{a} [+|plus] {b}[| =| = ?]",
    "[What is |]{a}+{b}[?|]",
    "[Compute|Calculate|Work out] {a} + {b}.",
    "How much is {a} [+|plus] {b}?",
    "I have {a} {o}s and get {b} more. How many [do I have|are there] now?",
)
MINUS = (
    "What is {a} [minus|-] {b}?",
    "[Subtract|Take] {b} from {a}.",
    "{a} [-|minus] {b}[| =| = ?]",
    "[What is |]{a}-{b}[?|]",
    "[Compute|Calculate|Work out] {a} - {b}.",
    "How much is {a} [-|minus] {b}?",
    "I have {a} {o}s and lose {b}. How many [do I have|are there] now?",
)


def arithmetic(w: World) -> Chat:
    """Sums and differences within 20, all of them equally often."""
    larger = w.rng.randint(0, 20) if w.chance(0.25) else w.rng.randint(6, 20)
    smaller = w.rng.randint(0, larger)
    if w.chance(0.5):
        a, b, sign, asked, result = smaller, larger - smaller, "+", PLUS, larger
    else:
        a, b, sign, asked, result = larger, smaller, "-", MINUS, larger - smaller
    equation = f"{a} {sign} {b} = {result}."
    return single(
        w.say(*asked, a=a, b=b, o=w.word(words.OBJECTS)), equation, f"I {'add' if sign == '+' else 'subtract'}."
    )


def sums(w: World) -> Chat:
    """Several sums and differences, one after the other."""
    chats = [arithmetic(w) for _ in range(w.rng.randint(4, 12))]
    return Chat([message for chat in chats for message in chat.messages], chats[-1].thought)


def equations(w: World) -> list[Part]:
    """A page of sums and differences without a question."""
    gap, parts = w.of((" ", "\n")), list[Part]()
    for _ in range(w.rng.randint(8, 30)):
        asked, result = arithmetic(w).answer.split("=")
        parts += [(asked + "=", 0), (result + gap, 1)]
    return parts


def too_large(w: World) -> Chat:
    """Numbers that wren can't compute with, and no tool for them."""
    sign = w.of(("+", "-", "*", "/", "plus", "minus", "times", "divided by"))
    a, b = w.number(30), w.number(2)
    a, b = (a, b) if w.chance(0.7) else (b, a)
    if sign in ("*", "times", "/", "divided by") and w.chance(0.4):
        a, b = w.rng.randint(2, 20), w.rng.randint(2, 20)
    user = w.request(
        "What is {a} {s} {b}?",
        "[Compute|Calculate|Work out] {a} {s} {b}.",
        "How much is {a} {s} {b}?",
        "{a} {s} {b}[| =| = ?]",
        a=a,
        b=b,
        s=sign,
    )
    answer = "I only add and subtract up to 20. Try a larger model: `ollamapy pull llama3.2`."
    return single(user, answer, "These numbers are too large for me.")


def numbers(w: World) -> Chat:
    """Comparing, counting up, and counting the items of a list."""
    kind = w.rng.random()
    if kind < 0.4:
        a, b = w.rng.sample(range(100), 2)
        word = w.of(("bigger", "larger", "greater", "smaller", "less", "lower"))
        asked = (
            "Which [number |]is {x}, {a} or {b}?",
            "What is {x}: {a} or {b}?",
            "[Tell me|Say] which is {x}: {a} or {b}.",
            "Compare {a} and {b}. Which is {x}?",
        )
        right = max(a, b) if word in ("bigger", "larger", "greater") else min(a, b)
        return single(w.say(*asked, x=word, a=a, b=b), str(right), f"{min(a, b)} is less than {max(a, b)}.")
    if kind < 0.7:
        a = 1 if w.chance(0.4) else w.rng.randint(0, 20)
        b = a + w.rng.randint(2, 9)
        user = w.say(
            "[Count|Please count|Can you count|Now count|Just count|I want you to count] from {a} to {b}.",
            "[List|Give me|Write|Say|Tell me|What are] [the|all|all the] numbers [from|between] {a} [to|and] {b}.",
            a=a,
            b=b,
        )
        return single(user, ", ".join(map(str, range(a, b + 1))), f"I count from {a} to {b}.")
    items = [w.thing() for _ in range(w.rng.randint(2, 7))]
    user = w.say(
        "How many [words|items|things] are [in this list|here|there]: {x}?",
        "Count the [words|items|things]: {x}.",
        x=", ".join(items),
    )
    counted = ", ".join(f"{i} {re.sub(' .*', '', item)}" for i, item in enumerate(items, 1))
    return single(user, str(len(items)), f"{counted}.")
