"""Bytes become records, whatever pieces they arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.client import calls
from ollamapy.client.answers import Lines, decode
from ollamapy.dialects.native import GenerateRecord, ProgressRecord, VersionRecord
from ollamapy.errors import RunnerError, ServiceError

UNLOAD = calls.unload("wren")


@given(st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    splitter = Lines()
    found = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += splitter.feed(stream[begin:end])
    assert [*found, *splitter.end()] == [line for line in lines if line.strip()]


def test_fields_that_are_not_known_are_ignored() -> None:
    assert decode(b'{"version":"9","more":[1]}', VersionRecord, UNLOAD).version == "9"


def test_an_error_in_place_of_a_record_is_raised() -> None:
    with pytest.raises(RunnerError, match=r"^fell over$"):
        decode(b'{"error":"fell over"}', GenerateRecord, UNLOAD)
    with pytest.raises(ServiceError, match=r"^no space$"):
        decode(b'{"error":"no space"}', ProgressRecord, calls.Call("POST", "/api/create"))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"version":1}', b"\xff"])
def test_anything_else_is_named_as_not_of_this_api(body: bytes) -> None:
    with pytest.raises(ServiceError, match="GET /api/version is not what"):
        decode(body, VersionRecord, calls.version())
