from __future__ import annotations

import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import OptionError
from ollamapy.options import (
    MAX_STOP_CHARS,
    MAX_STOPS,
    RULES,
    options_from_parameters,
    options_to_json,
    options_to_parameters,
    parse_kept_options,
    parse_options,
    parse_parameter,
)
from ollamapy.types import Json, Options


def test_every_option_has_a_rule() -> None:
    assert set(RULES) == set(Options.__dataclass_fields__)


def test_reads_every_type() -> None:
    raw = {"num_ctx": 4096, "temperature": 1, "use_mmap": False, "stop": ["a", "b"]}
    assert parse_options(raw) == Options(num_ctx=4096, temperature=1.0, use_mmap=False, stop=("a", "b"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_predict", -1),
        ("num_predict", -2),
        ("num_predict", 0),
        ("repeat_last_n", -1),
        ("num_gpu", -1),
        ("num_gpu", 999),
        ("seed", -1),
        ("seed", 2**53),
        ("num_keep", -1),
        ("num_ctx", 0),
        ("top_k", 0),
        ("temperature", 0.0),
    ],
)
def test_keeps_legal_values(name: str, value: Json) -> None:
    assert getattr(parse_options({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_predict", -5),
        ("num_keep", -2),
        ("num_batch", -1),
        ("num_batch", 2**31),
        ("num_ctx", -1),
        ("num_ctx", 2**31),
        ("top_k", -1),
        ("top_k", 2**31),
        ("repeat_last_n", 2**31),
        ("num_thread", 10**9),
        ("num_gpu", 10**9),
        ("main_gpu", -1),
        ("seed", 10**40),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", 10**400),
        ("num_predict", math.inf),
        ("top_p", 1.01),
        ("repeat_penalty", 0),
    ],
)
def test_a_value_outside_its_range_names_option_and_range(name: str, value: Json) -> None:
    with pytest.raises(OptionError, match=rf'option "{name}" can\'t be .*; write an? (integer|number) from') as caught:
        parse_options({name: value})
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("num_ctx", "4096", 'option "num_ctx" must be of type integer, not the string "4096"'),
        ("num_ctx", True, 'option "num_ctx" must be of type integer, not true'),
        ("temperature", "hot", 'option "temperature" must be of type float32, not the string "hot"'),
        ("temperature", [1], 'option "temperature" must be of type float32, not a list'),
        ("use_mmap", 1, 'option "use_mmap" must be of type boolean, not 1'),
        ("stop", "END", 'option "stop" must be of type array, not the string "END"; write a list'),
        ("stop", ["a", 1], 'option "stop" must be of an array of strings'),
        ("stop", {}, 'option "stop" must be of type array, not an object'),
    ],
)
def test_a_wrong_type_names_option_and_value(name: str, value: Json, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_options({name: value})
    assert caught.value.message.startswith(text)


def test_an_option_that_a_model_keeps_must_be_a_known_one() -> None:
    assert parse_kept_options({"temperature": 0, "low_vram": True}) == Options(temperature=0.0)
    with pytest.raises(OptionError, match="unknown parameter 'temprature'; did you mean 'temperature'"):
        parse_kept_options({"temprature": 0})


def test_integers_take_floats_by_truncation() -> None:
    assert parse_options({"num_ctx": 2048.0, "seed": 7.9, "num_predict": -1.5}) == Options(
        num_ctx=2048, seed=7, num_predict=-1
    )


def test_stop_is_bounded_and_drops_empty_strings() -> None:
    assert parse_options({"stop": ["", "a"]}).stop == ("a",)
    with pytest.raises(OptionError, match="has 100000 strings"):
        parse_options({"stop": ["x"] * 100_000})
    with pytest.raises(OptionError, match=f"{MAX_STOP_CHARS + 1} characters"):
        parse_options({"stop": ["x" * (MAX_STOP_CHARS + 1)]})
    assert len(parse_options({"stop": ["x"] * MAX_STOPS}).stop or ()) == MAX_STOPS


def test_unknown_names_are_logged_and_nulls_skipped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ollamapy.options"):
        assert parse_options({"tfs_z": 2, "num_ctx": None}) == Options()
    assert caplog.messages == ["invalid option provided: tfs_z"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num_ctx", "4096", 4096),
        ("seed", "-1", -1),
        ("temperature", ".7", 0.7),
        ("temperature", "1e-1", 0.1),
        ("use_mmap", "T", True),
        ("use_mmap", "false", False),
        ("stop", " a ", " a "),
        ("draft_num_predict", "3", 3),
    ],
)
def test_converts_parameter_text(name: str, text: str, value: Json) -> None:
    assert parse_parameter(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("num_ctx", "4k", "invalid int value [4k]"),
        ("num_ctx", "1.5", "invalid int value [1.5]"),
        ("temperature", "warm", "invalid float value [warm]"),
        ("temperature", "nan", "invalid float value [nan]"),
        ("temperature", "1_0", "invalid float value [1_0]"),
        ("use_mmap", "yes", "invalid bool value [yes]"),
        ("num_ctxx", "1", "unknown parameter 'num_ctxx'; did you mean 'num_ctx'?"),
        ("heat", "1", "unknown parameter 'heat'; known are draft_num_predict, "),
        ("top_p", "2", 'option "top_p" can\'t be 2.0'),
    ],
)
def test_refuses_parameter_text(name: str, text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_parameter(name, text)
    assert caught.value.message.startswith(message)


def test_stop_parameters_accumulate_and_the_last_of_the_others_wins() -> None:
    pairs = [("stop", "a"), ("top_k", "1"), ("stop", "b"), ("top_k", "2")]
    assert options_from_parameters(pairs) == Options(top_k=2, stop=("a", "b"))


@given(
    st.builds(
        Options,
        num_ctx=st.none() | st.integers(0, 2**31 - 1),
        seed=st.none() | st.integers(-(2**63), 2**63 - 1),
        temperature=st.none() | st.floats(0, 1000),
        frequency_penalty=st.none() | st.floats(-100, 100),
        use_mmap=st.none() | st.booleans(),
        stop=st.none() | st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=5).map(tuple),
    )
)
def test_options_survive_json_and_parameters(options: Options) -> None:
    assert parse_options(options_to_json(options)) == options
    assert options_from_parameters(options_to_parameters(options)) == options
