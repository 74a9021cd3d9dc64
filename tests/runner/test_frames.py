from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import RunnerError
from ollamapy.runner.frames import MAX_ANSWER_BYTES, FrameSplitter
from ollamapy.wire import HEADER


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_bodies_come_out_whole_wherever_the_stream_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(HEADER.pack(len(body)) + body for body in bodies)
    splitter = FrameSplitter()
    got: list[bytes] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert got == bodies


def test_a_length_that_no_worker_sends_is_refused() -> None:
    with pytest.raises(RunnerError):
        FrameSplitter().feed(HEADER.pack(MAX_ANSWER_BYTES + 1))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4))
def test_printed_text_is_never_taken_for_a_length(text: str) -> None:
    with pytest.raises(RunnerError):
        FrameSplitter().feed(text.encode())
