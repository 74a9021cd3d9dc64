import math

import pytest

from ollamapy.dialects.fields import (
    Fields,
    decode_base64,
    decode_body,
    read_format,
    read_keep_alive,
    read_think,
    read_top_logprobs,
)
from ollamapy.errors import InvalidInputError


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_an_empty_body_is_called_missing(body):
    with pytest.raises(InvalidInputError, match=r"^missing request body$"):
        decode_body(body)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(b"{", "invalid JSON", id="cut off"),
        pytest.param(b"{'a': 1}", "invalid JSON", id="single quotes"),
        pytest.param(b'{"a": NaN}', "invalid JSON", id="NaN"),
        pytest.param(b'{"a": [0, {"b": -1e400}]}', r'number of field "a\[1\].b" is out of range', id="beyond a double"),
        pytest.param(b'{"a": [0, {"b": NaN}]}', r'field "a\[1\].b" must be a finite number', id="NaN"),
        pytest.param(b'{"a": -Infinity}', 'field "a" must be a finite number', id="infinity"),
        pytest.param(b'{"a": {"b": ' + b"9" * 9999 + b"}}", 'number of field "a.b" is out of range', id="long integer"),
        pytest.param(b'{"a": 1} x', "invalid JSON", id="text behind the object"),
        pytest.param(b'{"a": "b", "c": "d\xff"}', "invalid JSON: .* not UTF-8 at byte 18$", id="not UTF-8"),
        pytest.param(b"[1]", "must be a JSON object, not an array", id="an array"),
        pytest.param(b"null", "must be a JSON object, not null", id="null"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "nested too deeply", id="nested arrays"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply", id="nested objects"),
    ],
)
def test_a_bad_body_is_refused_with_the_reason(body, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        decode_body(body)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"hi \ud83d", "hi \ufffd"),
        (r"\ud83d", "\ufffd"),
        (r"\udE00x", "\ufffdx"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(escaped, text):
    assert decode_body(b'{"a": "%s"}' % escaped.encode()).text("a") == text


def test_names_match_in_any_case_and_the_last_one_counts():
    fields = decode_body(b'{"Model": "a", "MODEL": "b", "stream": true, "stream": false}')
    assert fields.text("model") == "b"
    assert fields.flag("stream", default=True) is False


def test_null_is_unset_and_unknown_fields_are_ignored():
    fields = decode_body(b'{"stream": null, "text": null, "list": null, "whatever": [1]}')
    assert fields.flag("stream", default=True) is True
    assert fields.text("text") == ""
    assert fields.optional_text("text") is None
    assert fields.array("list") == []


@pytest.mark.parametrize(
    ("read", "complaint"),
    [
        pytest.param(lambda f: f.text("n"), 'field "messages.n" must be a string, not a number', id="text"),
        pytest.param(lambda f: f.flag("n"), 'field "messages.n" must be a boolean, not a number', id="flag"),
        pytest.param(lambda f: f.array("n"), 'field "messages.n" must be an array, not a number', id="array"),
        pytest.param(lambda f: f.mapping("n"), 'field "messages.n" must be an object, not a number', id="mapping"),
        pytest.param(lambda f: f.number("b"), 'field "messages.b" must be a number, not a boolean', id="number"),
        pytest.param(lambda f: f.texts("l"), r'field "messages.l\[1\]" must be a string, not an object', id="texts"),
        pytest.param(
            lambda f: f.objects("l"), r'field "messages.l\[0\]" must be an object, not a string', id="objects"
        ),
        pytest.param(lambda f: f.integer("n", 0, 3), 'field "messages.n" must be a whole number', id="fraction"),
        pytest.param(lambda f: f.integer("big", 0, 3), "between 0 and 3", id="range"),
    ],
)
def test_a_wrong_type_names_the_field(read, complaint):
    fields = Fields({"n": 1.5, "b": True, "l": ["a", {}], "big": 4}, "messages")
    with pytest.raises(InvalidInputError, match=complaint):
        read(fields)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        (-1, math.inf),
        (1e300, math.inf),
        ("5m", 300),
        ("-1m", math.inf),
        ("0", 0),
    ],
)
def test_keep_alive_takes_seconds_and_durations(value, seconds):
    assert read_keep_alive(Fields({"keep_alive": value})) == seconds


@pytest.mark.parametrize("value", [True, [], {}, "soon", "30", "", "5x"])
def test_a_keep_alive_of_another_kind_is_refused(value):
    with pytest.raises(InvalidInputError, match=r'field "keep_alive".*a duration like "5m"'):
        read_keep_alive(Fields({"keep_alive": value}))


@pytest.mark.parametrize("value", [None, True, False, "low", "medium", "high", "max"])
def test_think_takes_booleans_and_levels(value):
    assert read_think(Fields({"think": value})) == value


def test_a_bad_think_is_refused_with_the_allowed_words():
    with pytest.raises(InvalidInputError) as caught:
        read_think(Fields({"think": "hard"}))
    assert caught.value.message == (
        'invalid think value: "hard" (must be "high", "medium", "low", "max", true, or false)'
    )
    with pytest.raises(InvalidInputError, match="think must be a boolean or string"):
        read_think(Fields({"think": 3}))


@pytest.mark.parametrize(
    ("value", "read"), [(None, None), ("", None), ("json", "json"), ({"type": "object"}, {"type": "object"})]
)
def test_format_is_json_or_a_schema(value, read):
    assert read_format(Fields({"format": value})) == read


@pytest.mark.parametrize("value", ["xml", 3, [], True])
def test_another_format_is_refused(value):
    with pytest.raises(InvalidInputError, match='expected "json" or a valid JSON Schema object'):
        read_format(Fields({"format": value}))


@pytest.mark.parametrize("value", [-1, 21, 1_000_000, 1.5])
def test_top_logprobs_has_bounds(value):
    with pytest.raises(InvalidInputError, match=r"^top_logprobs must be between 0 and 20$"):
        read_top_logprobs(Fields({"top_logprobs": value}))


def test_base64_is_standard_padded_and_errors_tell_the_byte():
    assert decode_base64("aGk=", "images[0]") == b"hi"
    with pytest.raises(InvalidInputError, match=r"images\[0\]: illegal base64 data at input byte 2"):
        decode_base64("aG!=", "images[0]")
    with pytest.raises(InvalidInputError, match="leave out"):
        decode_base64("data:image/png;base64,aGk=", "images[0]")
    with pytest.raises(InvalidInputError, match=r"images\[0\] is empty"):
        decode_base64("", "images[0]")


def test_a_keep_alive_of_very_many_digits_is_for_ever():
    assert read_keep_alive(decode_body(b'{"keep_alive": %s}' % (b"9" * 400))) == math.inf
