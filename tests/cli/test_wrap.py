"""Lines break between words, however the text arrives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ollamapy.cli.wrap import WordWrap, display_width

TEXT = st.text(alphabet="ab \n中e\u0301", max_size=80)


def wrapped(pieces: list[str], columns: int = 25) -> str:
    wrap = WordWrap(columns)
    return "".join([*map(wrap.feed, pieces), wrap.end()])


def test_a_word_that_does_not_fit_goes_to_the_next_line() -> None:
    assert wrapped(["one two three four five six"]) == "one two three four \nfive six"


def test_an_unfinished_word_is_held_back() -> None:
    wrap = WordWrap(25)
    assert wrap.feed("hel") == ""
    assert wrap.feed("lo wor") == "hello "
    assert wrap.end() == "wor"


def test_a_word_longer_than_the_line_is_shown_all_the_same() -> None:
    assert wrapped(["x" * 50]).replace("\n", "") == "x" * 50


def test_wide_characters_count_twice_and_break_anywhere() -> None:
    assert display_width("中e\u0301") == 3
    assert wrapped(["中" * 15]) == "中" * 10 + "\n" + "中" * 5


def test_emoji_of_several_characters_have_the_width_that_is_seen() -> None:
    assert display_width("👩‍👩‍👧") == 2
    assert display_width("❤️") == 2
    assert display_width("\x1b[1mbold\x1b[22m") == 4
    assert display_width("a\x00b") == 2


def test_styles_take_no_room_and_tabs_go_to_the_next_stop() -> None:
    assert wrapped(["\x1b[1mone\x1b[22m two three four", " five"]) == "\x1b[1mone\x1b[22m two three four \nfive"
    assert wrapped(["a\tb\tc\td"]) == "a\tb\tc\t\nd"


def test_further_lines_of_a_paragraph_may_be_indented() -> None:
    wrap = WordWrap(25)
    shown = wrap.verbatim("- ")
    wrap.indent("  ")
    assert (
        shown + wrap.feed("one two three four five\nsix seven") + wrap.end()
        == "- one two three four \n  five\nsix seven"
    )


def test_a_long_word_is_not_cut_however_it_arrives() -> None:
    assert wrapped(["see ", "x" * 15, "x" * 35, " end"], 25) == "see \n" + "x" * 50 + " end"


@given(TEXT, st.integers(1, 7))
def test_only_line_breaks_are_added_and_the_cut_does_not_matter(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert wrapped(pieces).replace("\n", "") == text.replace("\n", "")
    assert wrapped(pieces).count("\n") >= text.count("\n")
