from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.worker.text import TextStream


def stream(pieces: list[bytes], stop: list[str]) -> tuple[str, str | None]:
    text = TextStream(stop)
    out = "".join(text.feed(piece) for piece in pieces)
    return out + text.close(), text.stopped_by


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@given(st.text(), st.lists(st.integers(0, 5)))
def test_text_without_stop_strings_comes_out_whole_however_it_is_cut(text: str, sizes: list[int]) -> None:
    data = text.encode("utf-8", errors="replace")
    assert stream(cut(data, sizes), []) == (data.decode(), None)


@given(
    st.text("ab€", max_size=30),
    st.lists(st.text("ab€", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 4)),
)
def test_text_ends_before_the_first_stop_string_however_it_is_cut(text: str, stop: list[str], sizes: list[int]) -> None:
    out, stopped_by = stream(cut(text.encode(), sizes), stop)
    assert not any(s in out for s in stop)
    if stopped_by is None:
        assert out == text
        assert not any(s in text for s in stop)
    else:
        assert text.startswith(out + stopped_by)


def test_each_piece_gives_only_whole_characters() -> None:
    text = TextStream()
    assert [text.feed(bytes([byte])) for byte in "é€".encode()] == ["", "é", "", "", "€"]


def test_an_incomplete_character_at_the_end_is_replaced() -> None:
    assert stream([b"ok", "€".encode()[:2]], []) == ("ok�", None)


@pytest.mark.parametrize(
    ("pieces", "given_out"),
    [
        ([b"Hello<", b"|im", b" no"], ["Hello", "", "<|im no"]),
        ([b"Hello<", b"|im_end|>", b"more"], ["Hello", "", ""]),
    ],
    ids=["a false alarm is given out", "nothing follows a stop"],
)
def test_what_may_become_a_stop_string_is_held_back(pieces: list[bytes], given_out: list[str]) -> None:
    text = TextStream(["<|im_end|>"])
    assert [text.feed(piece) for piece in pieces] == given_out


def test_the_longer_of_two_stop_strings_at_one_place_wins() -> None:
    assert stream([b"a END. b"], ["END", "END."]) == ("a ", "END.")
