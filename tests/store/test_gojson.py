from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.store import encode_go_json, sort_keys


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({"b": 1, "a": [True, None]}, '{"b":1,"a":[true,null]}'),
        ("<a href='x'>&</a>", '"\\u003ca href=\'x\'\\u003e\\u0026\\u003c/a\\u003e"'),
        ("é\u2028\u2029\x7f\U0001f426", '"é\\u2028\\u2029\x7f\U0001f426"'),
        ('"\\\n\r\t\x01', '"\\"\\\\\\n\\r\\t\\u0001"'),
        (1.0, "1"), (0.7, "0.7"), (-0.0, "-0"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"), (1.5e-5, "0.000015"), (1e-7, "1e-7"), (1.25e-10, "1.25e-10"),
        (0.1 + 0.2, "0.30000000000000004"),
        (2**63, "9223372036854775808"),
    ],
)  # fmt: skip
def test_writes_json_as_go_does(value: object, encoded: str) -> None:
    assert encode_go_json(value) == encoded.encode() + b"\n"


def test_sorts_maps_at_every_depth() -> None:
    assert encode_go_json(sort_keys({"b": [{"d": 1, "c": 2}], "a": 3})) == b'{"a":3,"b":[{"c":2,"d":1}]}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_what_json_does_not_have(value: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        encode_go_json(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_written_is_read_back(value: object) -> None:
    assert json.loads(encode_go_json(value)) == value
