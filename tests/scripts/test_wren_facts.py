"""What wren is taught about ollamapy must be true of the program."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
from wren import facts

from ollamapy.cli.app import ALIASES, COMMANDS, VERSION_FLAGS
from ollamapy.cli.chat.help import COMMANDS as CHAT_COMMANDS
from ollamapy.config import VARIABLES
from ollamapy.modelfile import parse_modelfile

ANSWERS = [answer for pool in (facts.HOW, facts.WHAT, facts.OTHER) for _, answer in pool]
SPANS = sorted({span for answer in ANSWERS for span in re.findall(r"`([^`]+)`", answer)})
COMMAND_LINES = [span[span.index("ollamapy ") :] for span in SPANS if "ollamapy " in span]
PATHS = [span for span in SPANS if re.fullmatch(r"/[a-z0-9/?]+", span)]


def flags_of(command: str) -> set[str]:
    """The options that a command has."""
    module = importlib.import_module(f"ollamapy.cli.{command}" + "_" * (command == "import"))
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_line_is_one_that_the_program_takes(line):
    _, command, *rest = shlex.split(line)
    assert command in COMMANDS or command in ALIASES or command in VERSION_FLAGS
    if command in COMMANDS:
        assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= flags_of(command)


@pytest.mark.parametrize("span", SPANS)
def test_a_variable_is_one_that_is_read(span):
    assert set(re.findall(r"\b(?:OLLAMA|OLLAMAPY)_[A-Z_]+", span)) <= set(VARIABLES)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_a_route_or_a_command_of_the_chat(path, checkout: Path):
    served = "".join(file.read_text() for file in (checkout / "ollamapy" / "server").glob("*.py"))
    assert f'"{path}"' in served or path in CHAT_COMMANDS or f"also {path}" in CHAT_COMMANDS["/help"]


def test_every_variable_and_command_is_taught():
    taught = " ".join(answer for _, answer in (*facts.VARIABLE_FACTS, *facts.COMMAND_FACTS))
    assert all(f"`{name}`: " in taught for name in VARIABLES)
    assert all(f"`ollamapy {name}`: " in taught for name in COMMANDS)


def test_a_long_description_is_cut_behind_its_first_clause_and_keeps_a_short_default():
    taught = dict(facts.VARIABLE_FACTS)
    assert taught["OLLAMA_KEEP_ALIVE"] == "`OLLAMA_KEEP_ALIVE`: how long an idle model stays loaded (default 5m)."


@pytest.mark.parametrize("line", [span for span in SPANS if re.match(r"(FROM|PARAMETER|ADAPTER) ", span)])
def test_a_line_of_a_modelfile_is_understood(line):
    parse_modelfile(f"{'' if line.startswith('FROM') else 'FROM x'}\n{line}\n".encode())
