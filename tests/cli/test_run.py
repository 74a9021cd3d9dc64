"""`run` with one prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.cli.parsing import clean_text
from ollamapy.cli.values import parse_format, parse_pairs, parse_think
from ollamapy.errors import InvalidInputError
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


def test_the_words_of_a_prompt_are_joined_and_answered(ollamapy: Command, fake: FakeOllama) -> None:
    done = ollamapy("run", "wren:latest", "good", "day")
    assert (done.returncode, done.stdout, done.stderr) == (0, "good day \n", "")
    assert fake.body("/api/generate") == {"model": "wren:latest", "prompt": "good day", "stream": True}


def test_what_is_piped_in_stands_before_the_prompt(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("run", "wren:latest", "sum up", stdin="a text\n").returncode == 0
    assert fake.body("/api/generate")["prompt"] == "a text\n sum up"
    assert ollamapy("run", "wren:latest", stdin="text alone").returncode == 0
    assert fake.body("/api/generate")["prompt"] == "text alone"


@pytest.mark.parametrize("words", [(), ("",), ("   ",)], ids=["none", "empty", "blank"])
def test_without_a_prompt_the_model_is_loaded(ollamapy: Command, fake: FakeOllama, words: tuple[str, ...]) -> None:
    done = ollamapy("run", "wren:latest", *words, "--keepalive", "-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fake.body("/api/generate") == {"model": "wren:latest", "keep_alive": -1, "stream": True}


def test_options_reach_the_server(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("run", "wren:latest", "hi", "--format", '{"type": "object"}', "--keepalive=90s").returncode == 0
    sent = fake.body("/api/generate")
    assert sent["format"] == {"type": "object"}
    assert sent["keep_alive"] == 90
    assert "think" not in sent


def test_a_model_that_can_think_does_so_unless_told_otherwise(ollamapy: Command, fake: FakeOllama) -> None:
    done = ollamapy("run", "thinker:latest", "think")
    assert done.stdout == "Thinking...\nLet me see.\n...done thinking.\n\nthink \n"
    assert fake.body("/api/generate")["think"] is True
    assert ollamapy("run", "thinker:latest", "hi", "--think=false").returncode == 0
    assert fake.body("/api/generate")["think"] is False
    hidden = ollamapy("run", "--think", "thinker:latest", "think", "--hidethinking")
    assert hidden.stdout == "think \n"


def test_statistics_go_to_standard_error(ollamapy: Command) -> None:
    done = ollamapy("run", "wren:latest", "hi", "--verbose")
    assert done.stdout == "hi \n"
    assert done.stderr.splitlines()[0] == "total duration:       2.5s"
    assert done.stderr.splitlines()[-1] == "eval rate:            10.00 tokens/s"


def test_an_answer_that_was_cut_is_told_on_standard_error(ollamapy: Command, fake: FakeOllama) -> None:
    fake.metrics |= {"done_reason": "length"}
    done = ollamapy("run", "wren:latest", "hi")
    note = "the answer was cut after 10 tokens; raise num_predict\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi \n", note)
    fake.metrics |= {"num_ctx": 14}
    assert "its context of 14 is full; raise num_ctx" in ollamapy("run", "wren:latest", "hi").stderr


def test_an_error_within_an_answer_comes_after_what_was_said(ollamapy: Command) -> None:
    done = ollamapy("run", "wren:latest", "fail")
    assert (done.returncode, done.stdout, done.stderr) == (7, "Half an\n", "Error: the worker fell over\n")
    busy = ollamapy("run", "wren:latest", "busy")
    assert (busy.returncode, busy.stdout, busy.stderr) == (6, "", "Error: server busy, please try again.\n")


def test_bytes_that_are_no_text_are_replaced(ollamapy: Command, fake: FakeOllama) -> None:
    assert clean_text(b"caf\xe9 \xc3\xa9".decode("utf-8", "surrogateescape")) == "caf� é"
    done = ollamapy("run", "wren:latest", "caf\udce9")
    assert done.returncode == 0
    assert fake.body("/api/generate")["prompt"] == "caf�"


def test_bad_values_are_refused_before_anything_is_asked(ollamapy: Command, fake: FakeOllama) -> None:
    for words in (("--think=much",), ("--format", "xml"), ("--keepalive", "5"), ("--keepalive", "soon")):
        done = ollamapy("run", "wren:latest", "hi", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.startswith("Error: "), words
        assert words[0].partition("=")[0].lstrip("-") in done.stderr, words
    assert fake.requests == []


def test_think_and_format_have_their_words() -> None:
    assert parse_think(None) is None
    assert parse_think("true") is True
    assert parse_think("max") == "max"
    assert parse_format(None) is None
    assert parse_format("json") == "json"
    with pytest.raises(InvalidInputError, match="JSON Schema"):
        parse_format("{")


def test_on_a_terminal_the_answer_is_wrapped_and_thinking_dimmed(ollamapy: Command) -> None:
    words = " ".join(["seven77"] * 12)
    with ollamapy.on_screen("run", "thinker:latest", f"think {words}", columns=40) as screen:
        assert screen.wait_for_end() == 0
        assert b"\x1b[2mThinking...\r\nLet me see.\r\n...done thinking.\r\n\r\n\x1b[0m" in screen.raw
        assert "think seven77 seven77 seven77\nseven77" in screen.text


def test_no_color_and_nowordwrap_are_honoured(ollamapy: Command) -> None:
    words = " ".join(["seven77"] * 12)
    run = ("run", "thinker:latest", f"think {words}", "--nowordwrap")
    with ollamapy.on_screen(*run, columns=40, NO_COLOR="1") as screen:
        screen.wait_for_end()
        assert b"\x1b[2m" not in screen.raw
        assert f"think {words}".encode() in screen.raw


def test_markdown_is_shown_on_a_terminal_alone_and_can_be_switched_off(ollamapy: Command) -> None:
    assert ollamapy("run", "wren:latest", "some **text**").stdout == "some **text** \n"
    with ollamapy.on_screen("run", "wren:latest", "some **text**") as screen:
        assert screen.wait_for_end() == 0
        assert screen.lines == ["some text"]
        assert screen.styles_of("text") == {"bold"}
    with ollamapy.on_screen("run", "wren:latest", "some **text**", "--nomarkdown") as screen:
        screen.wait_for_end()
        assert screen.lines == ["some **text**"]
    with ollamapy.on_screen("run", "wren:latest", "some **text**", "--format", "json") as screen:
        screen.wait_for_end()
        assert screen.lines == ["some **text**"]


def test_a_system_message_and_options_may_be_given(ollamapy: Command, fake: FakeOllama) -> None:
    words = ("--system", "Be kind.", "-o", "temperature=0", "--option", "stop=a", "-o", "stop=b")
    assert ollamapy("run", "wren:latest", "hi", *words).returncode == 0
    sent = fake.body("/api/generate")
    assert (sent["system"], sent["options"]) == ("Be kind.", {"temperature": 0.0, "stop": ["a", "b"]})
    for words in (("-o", "temperature"), ("-o", "temperature=hot"), ("-o", "heat=1")):
        assert ollamapy("run", "wren:latest", "hi", *words).returncode == 2


def test_images_are_taken_out_of_the_prompt_where_the_model_can_see(
    ollamapy: Command, fake: FakeOllama, tmp_path: Path
) -> None:
    image = tmp_path / "p.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    fake.add("seer", capabilities=["completion", "vision"])
    done = ollamapy("run", "seer", f"what is {image}")
    assert (done.returncode, done.stderr) == (0, f"Added image '{image}'\n")
    assert fake.body("/api/generate")["prompt"] == "what is"
    assert len(fake.body("/api/generate")["images"]) == 1
    assert ollamapy("run", "wren:latest", f"what is {image}").stderr == ""
    assert fake.body("/api/generate")["prompt"] == f"what is {image}"


def test_options_are_pairs() -> None:
    assert parse_pairs("-o", ["num_ctx=64", "stop==="]).stop == ("==",)
    with pytest.raises(InvalidInputError, match="NAME=VALUE"):
        parse_pairs("-o", ["num_ctx"])
