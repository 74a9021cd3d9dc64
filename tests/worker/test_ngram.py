from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ollamapy.worker.ngram import LONGEST_MATCH, SIZE, NgramIndex

tokens = st.lists(st.integers(0, 3), max_size=60)


def last_end(text: list[int]) -> int | None:
    """Where the last SIZE tokens ended before, found the slow way."""
    ends = [end for end in range(SIZE, len(text)) if text[end - SIZE : end] == text[-SIZE:]]
    return max(ends, default=None)


def test_what_followed_the_same_tokens_is_guessed() -> None:
    guess = NgramIndex().guess([7, 1, 2, 3, 4, 5, 1, 2, 3], 2)
    assert guess is not None
    assert (guess.tokens, guess.n_matched) == ((4, 5), 3)


def test_text_that_repeats_itself_is_guessed_in_circles() -> None:
    guess = NgramIndex().guess([1, 2, 3, 1, 2, 3], 8)
    assert guess is not None
    assert guess.tokens == (1, 2, 3, 1, 2, 3, 1, 2)


def test_new_text_gives_no_guess() -> None:
    assert NgramIndex().guess([1, 2, 3, 4, 5, 6], 8) is None
    assert NgramIndex().guess([1, 1], 8) is None
    assert NgramIndex().guess([], 8) is None


@given(tokens, st.integers(0, 20))
def test_a_guess_continues_the_latest_place_with_the_same_end(text: list[int], most: int) -> None:
    guess, end = NgramIndex().guess(text, most), last_end(text)
    if end is None or most == 0:
        assert guess is None
        return
    assert guess is not None
    assert len(guess.tokens) == most
    assert list(guess.tokens[: len(text) - end]) == text[end : end + most]
    assert SIZE <= guess.n_matched <= LONGEST_MATCH
    assert text[end - guess.n_matched : end] == text[len(text) - guess.n_matched :]


@given(tokens, st.lists(st.integers(1, 9), max_size=8))
def test_an_index_that_grows_with_its_text_guesses_as_a_new_one(text: list[int], cuts: list[int]) -> None:
    index, at = NgramIndex(), 0
    for cut in [*cuts, len(text)]:
        at = min(at + cut, len(text))
        assert index.guess(text[:at], 5) == NgramIndex().guess(text[:at], 5)
