"""Seeded choices of words and phrasings, and conversations as the chat template renders them.

Nothing that an evaluation asks with is trained on. A hash of its own text decides on which side a phrasing or a word
is: eight ninths are trained on, and the rest is kept for `dev`, by which models are chosen, and `held`, by which the
last one is judged. The words of `held` are reserved by hand.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from wren import words

Side = Literal["train", "dev", "held"]
Message = dict[str, Any]
Part = tuple[str, int]  # text, and the loss on it: 0 none, 1 all tokens, 2 all but the first

SIDES: tuple[Side, ...] = ("train", "dev", "held")
PARTS = 9  # one word or phrasing in this many is not trained on
BLENDED_SHARE = 0.5  # of the words in training documents
FRAGMENT_SHARE = 0.4  # of the parts of blended and invented words
DOUBLED_SHARE = 0.06  # of the phrases and invented words in training
NO_THINKING = "<think>\n\n</think>\n\n"
TOOLS_BEFORE = "# Tools\n\nYou can call these functions:\n<tools>\n"
TOOLS_AFTER = (
    "</tools>\nTo call one, answer with:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
OPENED_SHARE = 0.25  # of the requests in training that `request` makes
OPENINGS = (
    "Well,", "Hey,", "So,", "Quickly:", "Hi!", "Thanks.", "Okay,", "If you can,", "As I said,", "One more thing:",
    "First,", "Listen,", "Sorry,", "Yes,", "No,", "Right,", "Later,", "Morning!", "For my work:", "To begin,", "-",
    "1.", "Task:", "Question:", "Also,", "Finally,", "Actually,", "After that,", "Today,", "They say:", "Once more,",
)  # fmt: skip
ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


@dataclass(slots=True)
class Chat:
    """A conversation whose last message is the assistant's answer, and the thought before it.

    An answer with everything in `says` is as good; where that is empty, it must be the same.
    """

    messages: list[Message]
    thought: str
    tools: list[dict[str, Any]] = field(default_factory=list)
    says: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The text of the last message."""
        return text_of(self.messages[-1])


def single(user: str, answer: str, thought: str) -> Chat:
    """Return a conversation of one question."""
    turns = [{"role": "user", "content": grammar(user)}, {"role": "assistant", "content": grammar(answer)}]
    return Chat(turns, grammar(thought))


def grammar(text: str) -> str:
    """Write "an" before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeio][a-z])(?!one)", r"\1n ", text)


def text_of(message: Message) -> str:
    """Return a message's text; tool calls are written as Hermes and Qwen models write them."""
    calls = [
        f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in message.get("tool_calls", ())
    ]
    return "\n".join([message["content"]] * bool(message.get("content")) + calls)


def render_prompt(messages: Sequence[Message], tools: Sequence[str]) -> list[Part]:
    """Return ChatML; chat_template.jinja does the same."""
    parts: list[Part] = []
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if tools:
        listing = TOOLS_BEFORE + "".join(tool + "\n" for tool in tools) + TOOLS_AFTER
        system = f"{system}\n\n{listing}" if system else listing
    if system:
        parts.append((f"<|im_start|>system\n{system}<|im_end|>\n", 0))
    previous = ""
    for i, message in enumerate(messages):
        role, following = message["role"], messages[i + 1]["role"] if i + 1 < len(messages) else ""
        if role == "tool":
            start = "" if previous == "tool" else "<|im_start|>user"
            end = "" if following == "tool" else "<|im_end|>\n"
            parts.append((f"{start}\n<tool_response>\n{message['content']}\n</tool_response>{end}", 0))
        elif role == "assistant":
            parts += [("<|im_start|>assistant\n", 0), (text_of(message) + "<|im_end|>", 2), ("\n", 0)]
        elif role == "user":
            parts.append((f"<|im_start|>user\n{message['content']}<|im_end|>\n", 0))
        previous = role
    return parts


def render(chat: Chat, think: bool, dump: Callable[[Any], str]) -> list[Part]:
    """Return a whole training document, with the thought or with an empty think block; `dump` writes the tools."""
    parts = render_prompt(chat.messages[:-1], [dump(tool) for tool in chat.tools])
    parts.append(("<|im_start|>assistant\n" + ("" if think else NO_THINKING), 0))
    thought = f"<think>\n{chat.thought}\n</think>\n\n" if think else ""
    return [*parts, (f"{thought}{chat.answer}<|im_end|>", 1)]


def side_of(text: str) -> Side:
    """Return the side on which a word or a phrasing may occur."""
    part, rest = zlib.crc32(text.encode()) % PARTS, zlib.crc32(text.encode()) // PARTS
    return "train" if part else "dev" if rest % 2 else "held"


@cache
def words_of(pool: tuple[str, ...], side: Side) -> tuple[str, ...]:
    """Return the words of a pool that a side may use."""
    if side == "held":
        return tuple(word for word in pool if word in words.RESERVED)
    is_train = side == "train"
    return tuple(w for w in pool if w not in words.RESERVED and (side_of("pool " + w) == "train") == is_train)


@cache
def outcomes(patterns: tuple[str, ...]) -> dict[Side, list[list[str]]]:
    """Return for each side the sentences of each pattern that has some; each `[a|b]` is one of its alternatives.

    Where none may be trained on, all are, and no evaluation has them.
    """
    made = [[*expand(pattern)] for pattern in patterns]
    sides: dict[Side, list[list[str]]] = {
        side: [part for texts in made if (part := [text for text in texts if side_of(text) == side])] for side in SIDES
    }
    return sides if sides["train"] else {"train": made, "dev": [], "held": []}


def expand(pattern: str) -> Iterator[str]:
    """Yield all sentences of a pattern."""
    match = ALTERNATIVES.search(pattern)
    if not match:
        yield pattern
        return
    for choice in match[1].split("|"):
        yield from expand(pattern[: match.start()] + choice + pattern[match.end() :])


class World:
    """A source of random words and sentences of one side."""

    def __init__(self, seed: int, side: Side = "train", fragments: Sequence[str] = ()) -> None:
        """Begin; `fragments` are parts of words (the tokenizer's tokens), of which all are to be met in training."""
        self.rng, self.side, self.fragments = random.Random(seed), side, fragments
        self.is_trained = False  # whether a case of an evaluation had to take something that is trained on

    def chance(self, p: float) -> bool:
        """Return True with a probability."""
        return self.rng.random() < p

    def of(self, pool: Sequence[Any]) -> Any:
        """Return one entry of a closed set, which all sides share."""
        return self.rng.choice(pool)

    def word(self, pool: Sequence[str]) -> str:
        """Return one entry of an open set, of which each side has its own part; training has blends of them, too."""
        known = words_of(tuple(pool), self.side)
        if self.side == "train" and self.chance(BLENDED_SHARE):
            return self.blend(known)
        return self.rng.choice(known)

    def blend(self, known: Sequence[str]) -> str:
        """Return the head of one entry with the tail of another: a word that can be copied, but not remembered."""
        head, tail = self.rng.choice(known), self.rng.choice(known)
        start = self.fragment() or head[: self.rng.randint(1, max(len(head) - 1, 1))]
        made = start + (self.fragment() or tail[self.rng.randint(0, len(tail) - 1) :])
        return head if words.RESERVED & {made, *made.split()} else made

    def fragment(self) -> str:
        """Return one of the fragments, or nothing."""
        return self.rng.choice(self.fragments) if self.fragments and self.chance(FRAGMENT_SHARE) else ""

    def invented(self, low: int = 2, high: int = 3) -> str:
        """Return a word that means nothing."""
        parts = [self.fragment() or self.of(words.SYLLABLES) for _ in range(self.rng.randint(low, high))]
        return "".join(self.doubled(parts))

    def doubled(self, parts: list[str]) -> list[str]:
        """Return parts, in training sometimes with one of them twice: where copying goes round in a circle."""
        if self.side == "train" and self.chance(DOUBLED_SHARE):
            i = self.rng.randrange(len(parts))
            parts[i:i] = [parts[i]]
        return parts

    def letters(self) -> str:
        """Return random letters and digits, the hardest thing to copy."""
        alphabet = self.of(("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", "0123456789abcdef"))
        if self.side == "train" and self.chance(0.25):
            alphabet = self.rng.sample(alphabet, 3)
        return "".join(self.of(alphabet) for _ in range(self.rng.randint(3, 8)))

    def name(self) -> str:
        """Return a person's name."""
        return self.word(words.NAMES) if self.chance(0.8) else self.invented().capitalize()

    def city(self) -> str:
        """Return a city's name."""
        return self.word(words.CITIES) if self.chance(0.8) else self.invented().capitalize()

    def thing(self) -> str:
        """Return any word."""
        pools = (words.ANIMALS, words.COLOURS, words.FOODS, words.OBJECTS, words.PLACES, words.ADJECTIVES, words.NAMES)
        if self.chance(0.12):
            return self.letters() if self.chance(0.4) else self.invented()
        return self.word(self.of((*pools, words.NOUNS, words.CITIES)))

    def number(self, low: int = 0, high: int = 0) -> int:
        """Return a number; without `high` its size varies."""
        return self.rng.randint(low, high or self.of((99, 999, 9999) if low else (9, 99, 999, 9999)))

    def phrase(self, low: int = 1, high: int = 5) -> str:
        """Return some words."""
        return " ".join(self.doubled([self.thing() for _ in range(self.rng.randint(low, high))]))

    def say(self, *patterns: str, **slots: Any) -> str:
        """Return a user's sentence, sometimes typed carelessly."""
        return filled(self.sentence(patterns), slots)

    def request(self, *patterns: str, **slots: Any) -> str:
        """Return what `say` does, in training sometimes behind a few words that change nothing."""
        text = self.sentence(patterns)
        if self.side == "train" and self.chance(OPENED_SHARE):
            opening = f"{self.name()}," if self.chance(0.3) else self.of(OPENINGS)
            text = f"{opening} {text if text.startswith('I') else text[:1].lower() + text[1:]}"
        return filled(text, slots)

    def sentence(self, patterns: tuple[str, ...]) -> str:
        """Return a sentence of this side, whose slots are still empty."""
        choices = outcomes(patterns)[self.side]
        self.is_trained |= not choices
        text: str = self.of(self.of(choices or outcomes(patterns)["train"]))
        if self.chance(0.12):
            text = text[:1].lower() + text[1:]
        if self.chance(0.12) and text[-1:] in ".?":
            text = text[:-1]
        if self.chance(0.15):
            text = text.replace("What is ", "What's ").replace("what is ", "what's ").replace("I am ", "I'm ")
        return text


def filled(text: str, slots: Mapping[str, Any]) -> str:
    """Return a sentence with its slots filled."""
    for key, value in slots.items():
        text = text.replace("{" + key + "}", str(value))
    return text
