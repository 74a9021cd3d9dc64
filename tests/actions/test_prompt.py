import asyncio

import pytest

from ollamapy import wire
from ollamapy.actions.prompt import MOST_TOKEN_BYTES, fit_prompt
from ollamapy.errors import ContextLengthError, InvalidInputError
from ollamapy.types import Message


class CountingRunner:
    """A token for each character; remembers what was counted."""

    def __init__(self):
        self.counted = []

    async def tokenize(self, segments, add_special=True):
        text = "".join(segment.text for segment in segments)
        self.counted.append(text)
        return [0] * add_special + [ord(character) for character in text]


def render(messages):
    return tuple(wire.Segment(f"{message.role[0]}{message.content};") for message in messages)


def turns(count, size):
    return [Message(role, "x" * size) for _ in range(count) for role in ("user", "assistant")]


def fit(messages, num_ctx, *, truncate=True, bos_token=""):
    runner = CountingRunner()
    prompt = asyncio.run(fit_prompt(runner, render, messages, num_ctx, truncate=truncate, bos_token=bos_token))
    return prompt, runner.counted


def test_a_short_prompt_is_not_counted():
    prompt, counted = fit([Message("user", "hi")], 100)
    assert (prompt.segments, prompt.tokens, prompt.text, counted) == ((wire.Segment("uhi;"),), (), "uhi;", [])
    assert prompt.add_special


def test_a_prompt_that_writes_its_own_beginning_gets_no_second_one():
    assert fit([Message("user", "hi")], 100, bos_token="uhi")[0].add_special is False


def test_a_prompt_that_just_fits_is_sent_as_the_tokens_that_were_counted():
    prompt, counted = fit([Message("user", "x" * 10)], 14)
    assert (len(prompt.tokens), prompt.segments, prompt.add_special, prompt.dropped_messages) == (13, (), False, 0)
    assert len(counted) == 1


def test_as_few_old_turns_as_possible_are_dropped():
    messages = [Message("system", "S"), *turns(20, 8), Message("user", "last")]
    prompt, counted = fit(messages, 100)
    assert prompt.text.startswith("sS;")
    assert prompt.text.endswith("ulast;")
    assert len(prompt.tokens) < 100 <= len(prompt.tokens) + 20
    assert prompt.dropped_messages % 2 == 0
    assert len(messages) - prompt.dropped_messages == prompt.text.count(";")
    assert len(counted) <= 8


def test_a_slow_template_is_not_rendered_over_and_over(monkeypatch):
    monkeypatch.setattr("ollamapy.actions.prompt.FITTING_SECONDS", 0.0)
    messages = [Message("system", "S"), *turns(20, 8), Message("user", "last")]
    prompt, counted = fit(messages, 100)
    assert (prompt.text, prompt.dropped_messages, len(counted)) == ("sS;ulast;", 40, 2)


def test_what_can_not_be_dropped_must_fit():
    with pytest.raises(ContextLengthError) as caught:
        fit([*turns(3, 8), Message("user", "x" * 50)], 40)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (53, 40)


def test_without_truncation_nothing_is_dropped():
    prompt, counted = fit([*turns(9, 8), Message("user", "x")], 20, truncate=False)
    assert prompt.dropped_messages == 0
    assert counted == []


@pytest.mark.parametrize("truncate", [True, False])
def test_t63_an_enormous_prompt_is_refused_without_counting(truncate):
    with pytest.raises(InvalidInputError, match="too long"):
        fit([Message("user", "x" * (20 * MOST_TOKEN_BYTES + 1))], 20, truncate=truncate)
