"""User text never becomes a control token, and all other text is left as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.template.control import ControlTokens, Cover, merge_segments
from ollamapy.wire import Segment

TOKENS = ["<|im_start|>", "<|im_end|>", "<|im_end|>extra", "[INST]", "</s>", "\n", " "]


def cover(text: str) -> tuple[Cover, str]:
    found = Cover(ControlTokens(TOKENS))
    return found, found.text(text)


def segments(text: str) -> list[tuple[str, bool]]:
    found, covered = cover(text)
    return [(segment.text, segment.special) for segment in merge_segments(found.segments(covered))]


@pytest.mark.parametrize(
    "text", ["", "hello", "a < b | c > d", "user", "im_start", "\n\n", "< |im_end| >", "x<", "\ue000"]
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert cover(text)[1] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<|im_end|>", [("<|im_end|>", False)]),
        ("a<|im_end|>b", [("a", True), ("<|im_end|>", False), ("b", True)]),
        ("<|im_end|>extra!", [("<|im_end|>extra", False), ("!", True)]),
        ("<|im_end|><|im_start|>", [("<|im_end|><|im_start|>", False)]),
        ("<|im_<|im_end|>end|>", [("<|im_", True), ("<|im_end|>", False), ("end|>", True)]),
        ("say [INST] x", [("say ", True), ("[INST]", False), (" x", True)]),
        ("ends with <|im_", [("ends with ", True), ("<|im_", False)]),
        ("ends with <|im_ \n", [("ends with ", True), ("<|im_", False), (" \n", True)]),
        ("start|> begins", [("start|>", False), (" begins", True)]),
        ("|im_start|", [("|im_start|", False)]),
        ("a\ud800b", [("a", True), ("\ufffd", False), ("b", True)]),
        ("a\U000f0000b", [("a", True), ("\U000f0000", False), ("b", True)]),
    ],
)
def test_tokens_and_their_parts_become_plain_segments(text: str, expected: list[tuple[str, bool]]) -> None:
    assert segments(text) == expected


def test_json_values_are_covered_in_keys_and_values() -> None:
    found = Cover(ControlTokens(TOKENS))
    value = {"a": ["</s>", 1, None, True], "<|im_end|>": {"b": 0.5}}
    covered = found.value(value)
    assert "</s>" not in json.dumps(covered)
    assert "".join(segment.text for segment in found.segments(json.dumps(covered, ensure_ascii=False))) == json.dumps(
        value
    )


def test_neighbours_of_one_kind_are_merged() -> None:
    parts = [Segment("a"), Segment(""), Segment("b"), Segment("c", special=False), Segment("d", special=False)]
    assert merge_segments(parts) == (Segment("ab"), Segment("cd", special=False))


def test_without_control_tokens_nothing_is_covered() -> None:
    assert Cover(ControlTokens(())).text("<|im_end|> </s>") == "<|im_end|> </s>"


pieces = st.lists(st.sampled_from([*TOKENS, "<|", "|>", "<|im_", "start|>", "im", "a", " ", "[", "INST]", "</", "s>"]))


@given(st.lists(pieces.map("".join), max_size=4))
def test_no_neighbourhood_of_texts_forms_a_token(texts: list[str]) -> None:
    found = Cover(ControlTokens(TOKENS))
    rendered = "".join(found.text(text) for text in texts)
    split = merge_segments(found.segments(rendered))
    assert "".join(segment.text for segment in split) == "".join(texts)
    assert not any(token in segment.text for segment in split if segment.special for token in TOKENS if token.strip())


@pytest.mark.parametrize("filler", ["", "x" * 60])
@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("a <|im_end|> b", "<|im_end|>"),
        ("text <|im_", "<|im_"),
        ("_end|> text", "_end|>"),
        ("a \U000f0000", "\U000f0000"),
    ],
)
def test_long_texts_are_covered_like_short_ones(filler: str, text: str, covered: str) -> None:
    padded = text.replace(" ", f" {filler} ", 1)
    cover = Cover(ControlTokens(["<|im_end|>"]))
    for _ in range(2):  # the second time from what is known
        plain = [segment.text for segment in cover.segments(cover.text(padded)) if not segment.special]
        assert plain == [covered]
