"""Markdown on a terminal: what each construct looks like, and that the pieces it arrives in do not matter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.cli.markdown import MOST_ROWS, Markdown
from ollamapy.cli.wrap import WordWrap

STYLE = re.compile("\x1b\\[[0-9;]*m")
B, IT, U, C, D, N = "\x1b[1m", "\x1b[3m", "\x1b[4m", "\x1b[36m", "\x1b[2m", "\x1b[22m"
LINES = st.lists(
    st.sampled_from(
        ["# t", "text **bold** and *it*", "- item `code`", "1. one", "> quote", "```py", "```", "a_b_c", "| a | b |",
         "|---|---|", "---", "", "[l](http://x)", "**open", "中文 **粗** ~~x~~", "\\*no\\*", "***", "  - deep"]
    ),
    max_size=12,
)  # fmt: skip


def shown(text: str, size: int = 10**6, columns: int = 40) -> str:
    markdown = Markdown(WordWrap(columns), columns)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return "".join([*map(markdown.feed, pieces), markdown.end()])


def plain(text: str, columns: int = 40) -> str:
    return STYLE.sub("", shown(text, columns=columns))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**a** b", f"{B}a{N} b"),
        ("*a* _b_", f"{IT}a\x1b[23m {IT}b\x1b[23m"),
        ("***a***", f"{B}{IT}a\x1b[23m{N}"),
        ("__a b__", f"{B}a b{N}"),
        ("~~a~~", "\x1b[9ma\x1b[29m"),
        ("`a*b*`", f"{C}a*b*\x1b[39m"),
        ("`` a`b ``", f"{C}a`b\x1b[39m"),
        ("**a `b` *c***d", f"**a {C}b\x1b[39m *c***d"),
        ("**a `b`**", f"{B}a {C}b\x1b[39m{N}"),
        ("# Title", f"{B}{U}Title{N}\x1b[24m"),
        ("### Sub *x*", f"{B}Sub {IT}x\x1b[23m{N}"),
        ("[name](http://x.y)", f"{U}name\x1b[24m {D}(http://x.y){N}"),
        ("[http://x.y](http://x.y)", f"{U}http://x.y\x1b[24m"),
        ("```py\na * b * c\n```\nd", f"{D}```py{N}\n{C}a * b * c\x1b[39m\n{D}```{N}\nd"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_spans_and_blocks_have_their_styles(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 * 4", "a**", "the __init__ method", "snake_case_name", "**open", "`open", "_", "[x] done", "[a](b",
        "\\ x", "5) no", "#tag", "a | b", "~x~", "-5 is negative", "**", "f(*args, **kwargs)", "1", "+", "", "|",
        "````",
    ],
)  # fmt: skip
def test_what_is_no_markdown_stands_as_it_is_written(text: str) -> None:
    assert plain(text) == text


def test_lists_and_quotes_go_on_below_their_text() -> None:
    text = "- one two three four five six seven eight\n"
    text += "  10. one two three four five six\n> one two three four five six seven"
    assert plain(text, 30) == (
        "• one two three four five \n  six seven eight\n"
        "  10. one two three four \n      five six\n"
        "│ one two three four five \n│ six seven"
    )


def test_escapes_are_taken_off() -> None:
    assert plain("\\*a\\* 1\\. b") == "*a* 1. b"


def test_code_is_not_wrapped_and_ends_with_its_own_fence() -> None:
    code = "x = 'a long line of code that is much longer than the terminal is wide'"
    assert plain(f"~~~\n{code}\n```\n~~~\nafter") == f"~~~\n{code}\n```\n~~~\nafter"


def test_a_table_is_set_in_columns_by_display_width() -> None:
    text = "| Name | n |\n|:---|--:|\n| 大きい | **1** |\n| a | b\\|c |\n\nend"
    assert plain(text) == "Name    n\n──────  ───\n大きい  1\na       b|c\n\nend"


def test_a_table_that_does_not_fit_or_is_none_stands_as_it_is_written() -> None:
    wide = f"| {'a' * 30} | {'b' * 30} |\n|---|---|\n| c | d |"
    assert plain(wide) == wide
    assert plain("| a |\n| b |\nc") == "| a |\n| b |\nc"


def test_a_table_without_end_is_shown_in_parts() -> None:
    markdown = Markdown(None, 40)
    assert markdown.feed("| a |\n|---|\n" + "| b |\n" * (MOST_ROWS - 2)).count("\n") == MOST_ROWS


def test_text_is_shown_as_soon_as_it_is_sure() -> None:
    markdown = Markdown(None, 40)
    assert markdown.feed("So") == "So"
    assert markdown.feed(" **bo") == " "
    assert markdown.feed("ld** t") == f"{B}bold{N} t"
    assert markdown.feed("\n#") == "\n"
    assert markdown.feed("tag") == "#tag"
    assert markdown.end() == ""


def test_a_span_that_is_never_closed_does_not_hold_the_rest_back() -> None:
    markdown = Markdown(None, 40)
    assert len(markdown.feed("**" + "word " * 200)) > 500


@given(LINES, st.integers(1, 9))
def test_the_pieces_do_not_matter_and_all_styles_end(lines: list[str], size: int) -> None:
    text = "\n".join(lines)
    whole = shown(text)
    assert shown(text, size) == whole
    for begin, end in (("1", "22"), ("3", "23"), ("4", "24"), ("36", "39"), ("9", "29")):
        faint = whole.count("\x1b[2m") if end == "22" else 0
        assert whole.count(f"\x1b[{begin}m") + faint == whole.count(f"\x1b[{end}m")
