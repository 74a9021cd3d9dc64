"""What `bench` measures and tells."""

from __future__ import annotations

import json

from ollamapy.cli.bench import notes, table
from ollamapy.cli.measure import Figures, Plan, Sample, middle
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


def sample(first: float, decode: float, tokens: int = 11) -> Sample:
    return Sample(first, decode, prompt_tokens=50, cached_tokens=5, tokens=tokens)


def test_a_rate_counts_the_tokens_behind_the_first() -> None:
    assert sample(0.5, 1.0).rate == 10
    assert sample(0.5, 0.0001, tokens=1).rate == 0


def test_figures_tell_the_median_the_worst_and_the_whole() -> None:
    figures = Figures((sample(0.1, 1.0), sample(0.2, 2.0), sample(0.9, 1.0)), seconds=3.0)
    assert (figures.first_seconds, figures.worst_first_seconds) == (0.2, 0.9)
    assert (figures.client_rate, figures.total_rate) == (10, 11)


def test_of_several_rounds_the_middle_one_counts() -> None:
    rounds = [Figures((sample(0.1, 1.0),), seconds) for seconds in (1.0, 4.0, 2.0)]
    assert middle(rounds).seconds == 2.0
    assert middle(rounds[:2]).seconds == 4.0


def test_the_table_and_the_notes_tell_what_was_measured() -> None:
    plan = Plan("wren", clients=2, rounds=3, tokens=21)
    alone = Figures((sample(0.1, 1.0, tokens=21),), 2.1)
    together = Figures((sample(0.1, 1.0), sample(0.25, 0.0, tokens=1)), 2.0)
    header, rows = table(plan, alone, together)
    assert header == ("", "ALONE", "2 CLIENTS")
    assert rows[0] == ["time to first token", "100 ms", "175 ms"]
    assert rows[1] == ["  the longest", "100 ms", "250 ms"]
    assert rows[2] == ["tokens/s of a client", "20.0", "10.0"]
    assert rows[3] == ["tokens/s of all", "10.0", "6.0"]
    assert notes(plan, "100% CPU", alone, together) == [
        "wren on 100% CPU; prompts of 50 to 50 tokens, 3 rounds",
        "2 of 3 answers ended before 21 tokens",
    ]


def test_answers_of_a_token_have_no_rate_and_it_is_said_that_few_tokens_say_little() -> None:
    plan = Plan("wren", clients=1, rounds=1, tokens=1)
    figures = Figures((sample(0.1, 0.0001, tokens=1),), 1.0)
    assert table(plan, figures, figures)[1][2] == ["tokens/s of a client", "-", "-"]
    assert notes(plan, "", figures, figures) == [
        "wren; prompts of 50 to 50 tokens, 1 round",
        "answers of fewer than 16 tokens say little about rates",
    ]


def test_a_model_is_asked_alone_and_by_several_clients_at_once(ollamapy: Command, fake: FakeOllama) -> None:
    fake.load("wren:latest")
    done = ollamapy("bench", "wren:latest", "--clients", "3", "--rounds", "2", "--tokens", "10", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["model"], told["processor"]) == ("wren:latest", "100% CPU")
    assert (told["alone"]["clients"], told["alone"]["answer_tokens"]) == (1, 10)
    assert (told["together"]["clients"], told["together"]["answer_tokens"]) == (3, 30)
    asked = [body for _, path, _, body in fake.requests if path == "/api/generate" and body.get("prompt")]
    assert len(asked) == 1 + 2 * (1 + 3)
    assert len({body["prompt"] for body in asked}) == len(asked)
    assert asked[-1]["options"] == {"num_predict": 10, "temperature": 0.0, "seed": 1}


def test_what_can_not_be_measured_is_refused(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("vectors", capabilities=["embedding"])
    refused = ollamapy("bench", "vectors")
    assert (refused.returncode, refused.stderr) == (2, "Error: vectors makes vectors, and bench measures answers\n")
    assert ollamapy("bench", "nope").returncode == 3
    assert ollamapy("bench", "wren:latest", "--clients", "0").returncode == 2
