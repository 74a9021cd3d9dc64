"""`embed`, and `run` with an embedding model."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


@pytest.fixture
def glove(fake: FakeOllama) -> FakeOllama:
    fake.add("glove:latest", capabilities=["embedding"])
    return fake


def test_each_text_is_a_line_that_is_an_array(ollamapy: Command, glove: FakeOllama) -> None:
    done = ollamapy("embed", "glove:latest", "a", "b c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0.5,-1.0]\n[0.5,-3.0]\n", "")
    assert glove.body("/api/embed") == {"model": "glove:latest", "input": ["a", "b c"]}


def test_lines_that_are_piped_in_are_texts(ollamapy: Command, glove: FakeOllama) -> None:
    assert ollamapy("embed", "glove:latest", stdin="one\ntwo\x0bthree\u2028\r\n four").returncode == 0
    assert glove.body("/api/embed")["input"] == ["one", "two\x0bthree\u2028", " four"]


@pytest.mark.parametrize(("text", "number"), [("one\n\ntwo\n", 2), ("one\n\n", 2), (" \r\ntwo", 1)])
def test_a_blank_line_is_told_by_its_number(ollamapy: Command, glove: FakeOllama, text: str, number: int) -> None:
    done = ollamapy("embed", "glove:latest", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: line {number} of standard input is blank and has nothing to embed; leave blank lines out, "
        "with `grep '[^[:space:]]'` say\n"
    )
    assert glove.paths("/api/embed") == 0


def test_json_is_what_the_server_answered(ollamapy: Command, glove: FakeOllama) -> None:
    done = ollamapy("embed", "--json", "glove:latest", "a", "--dimensions", "1")
    answer = json.loads(done.stdout)
    assert (answer["embeddings"], answer["prompt_eval_count"]) == ([[0.5]], 4)
    assert glove.body("/api/embed")["dimensions"] == 1


def test_texts_that_were_cut_are_told(ollamapy: Command, glove: FakeOllama) -> None:
    done = ollamapy("embed", "glove:latest", "a", "long text")
    assert done.stderr == "1 of 2 texts were longer than the model can read, and cut\n"
    assert (
        ollamapy("run", "glove:latest", "long text").stderr == "the text was longer than the model can read, and cut\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("embed", "glove:latest"), "there is nothing to embed"),
        (("embed", "glove:latest", "a", "--dimensions", "-1"), "--dimensions"),
        (("embed", "glove:latest", "a", "--dimensions", "many"), 'invalid value "many" for --dimensions'),
        (("run", "glove:latest"), 'embedding models require input text. Usage: ollamapy run glove:latest "'),
        (("run", "glove:latest", "a", "--truncate=maybe"), 'invalid value "maybe" for --truncate'),
    ],
)
def test_what_can_not_be_embedded_is_told(
    ollamapy: Command, glove: FakeOllama, words: tuple[str, ...], complaint: str
) -> None:
    done = ollamapy(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


def test_an_unknown_model_is_told(ollamapy: Command, glove: FakeOllama) -> None:
    assert ollamapy("embed", "nope", "a").returncode == 3


def test_run_prints_the_vector_of_its_words_in_one_line(ollamapy: Command, glove: FakeOllama) -> None:
    done = ollamapy("run", "glove:latest", "b", "c", "--keepalive", "-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0.5,-3.0]\n", "")
    assert glove.body("/api/embed") == {"model": "glove:latest", "input": ["b c"], "keep_alive": -1}


def test_run_hands_on_dimensions_and_truncate(ollamapy: Command, glove: FakeOllama) -> None:
    assert ollamapy("run", "glove:latest", "--dimensions=1", "--truncate", "b").stdout == "[0.5]\n"
    done = ollamapy("run", "glove:latest", "long", "--truncate=false")
    assert (done.returncode, "exceeds the context length" in done.stderr) == (2, True)
