"""What `--help` tells of each command, and `--json` where another program reads."""

from __future__ import annotations

import importlib
import json
import re
import shlex

import pytest

from ollamapy.cli.app import COMMANDS, MODULES
from ollamapy.cli.parsing import expand_bare_options, make_parser
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

MODULE_NAMES = [name for name in COMMANDS if name != "help"]
WITHOUT_JSON = {"serve", "completion"}


def parser_of(name: str):
    return make_parser(importlib.import_module(f"ollamapy.cli.{MODULES.get(name, name)}"), name)


def example_lines(name: str) -> list[str]:
    _, _, examples = (parser_of(name).description or "").partition("\nExamples:\n")
    return [line.strip() for line in examples.splitlines() if line.strip()]


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_each_command_has_examples_that_its_parser_takes(name: str) -> None:
    lines = example_lines(name)
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)
        words = words[: words.index("<")] if "<" in words else words
        begin = words.index("ollamapy")
        assert all(word == "sudo" or "=" in word for word in words[:begin])
        assert words[begin + 1] == name, line
        parser_of(name).parse_intermixed_args(expand_bare_options(words[begin + 2 :]))


@pytest.mark.parametrize("name", [name for name in MODULE_NAMES if name not in WITHOUT_JSON])
def test_each_command_can_print_json(name: str) -> None:
    assert "--json" in parser_of(name).format_help()


def test_actions_tell_what_was_done_as_json(ollamapy: Command, fake: FakeOllama) -> None:
    def told(*words: str) -> object:
        done = ollamapy(*words, "--json")
        assert (done.returncode, done.stderr) == (0, ""), words
        return json.loads(done.stdout)

    assert told("cp", "wren:latest", "bird") == {"source": "wren:latest", "destination": "bird"}
    assert told("stop", "bird") == {"stopped": "bird"}
    assert told("rm", "bird") == {"deleted": ["bird"]}
    assert told("--version") == {
        "version": "0.1.0", "ollama_version": "0.33.0", "daemon": {"name": "ollamapy", "version": "0.1.0"},
    }  # fmt: skip
    settings = told("config", "show")
    assert isinstance(settings, dict)
    assert settings["settings"]["host"]["value"].endswith(fake.base_url.removeprefix("http://"))
    missing = ollamapy("rm", "wren:latest", "gone", "--json")
    assert (missing.returncode, json.loads(missing.stdout)) == (3, {"deleted": ["wren:latest"]})


def test_an_answer_is_told_in_lines_of_json(ollamapy: Command) -> None:
    lines = ollamapy("run", "wren:latest", "good day", "--json").stdout.splitlines()
    assert [json.loads(line)["response"] for line in lines] == ["good ", "day ", ""]
    assert json.loads(lines[-1])["eval_count"] == 10


def test_the_help_of_an_option_that_may_stand_bare_shows_that(ollamapy: Command) -> None:
    text = ollamapy("run", "--help").stdout
    assert re.search(r"--think\[=LEVEL\]", text)
    assert "\nExamples:\n  ollamapy run wren " in text


def test_the_help_is_as_wide_as_the_terminal(ollamapy: Command) -> None:
    for columns in (60, 100):
        text = ollamapy("help", "serve", COLUMNS=str(columns)).stdout
        assert columns - 15 < max(map(len, text.splitlines())) <= columns
        assert "OLLAMA_NUM_PARALLEL" in text
    assert "OLLAMA_EDITOR" in ollamapy("help", "run").stdout
    assert "OLLAMA_EDITOR" not in ollamapy("help", "list").stdout


def test_the_overview_has_each_command_once(ollamapy: Command) -> None:
    text = ollamapy("help").stdout
    for name, about in COMMANDS.items():
        assert re.findall(rf"^  {name} +(.*)$", text, re.MULTILINE) == [about]
