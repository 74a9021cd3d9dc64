"""`handoff`: how many requests and tokens the other server is told to take."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command


def parallel(ollamapy: Command, *words: str, **environ: str) -> int:
    told = json.loads(ollamapy("handoff", "wren:latest", *words, "--json", **environ).stdout)
    return int(told["parallel"])


def test_requests_at_once_are_those_asked_for_or_set_or_sixteen(ollamapy: Command) -> None:
    assert parallel(ollamapy) == parallel(ollamapy, OLLAMA_NUM_PARALLEL="0") == 16
    assert parallel(ollamapy, OLLAMA_NUM_PARALLEL="5") == 5
    assert parallel(ollamapy, "--parallel", "64", OLLAMA_NUM_PARALLEL="5") == 64


@pytest.mark.parametrize("option", ["--parallel", "--ctx"])
def test_none_at_all_is_refused(ollamapy: Command, option: str) -> None:
    done = ollamapy("handoff", "wren:latest", option, "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'Error: invalid value "0" for {option}: write a whole number from 1 on\n'
