"""From a command's words to a call of its function: the home of argparse."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol

from ollamapy.cli import render
from ollamapy.config import VARIABLES
from ollamapy.errors import InvalidInputError

BARE_VALUES: Mapping[str, str] = {"--think": "--think=true", "--truncate": "--truncate=true"}
"""Options that may stand without a value, and what they mean then: they never take the next word."""

MOST_DIGITS = 9
PLAIN_WORD = "\0"
"""Stands before a word that is no option whatever it looks like; no word of a command line can hold it."""

_BARE_OPTION = re.compile(rf"({'|'.join(BARE_VALUES)}) ([A-Z]+)( {{2}}(?= {{2}}))?")
_REQUIRED = "the following arguments are required: "  # how argparse begins
CLIENT_VARIABLES = ("OLLAMA_HOST", "OLLAMA_API_KEY", "NO_COLOR")
MORE_VARIABLES: Mapping[str, Sequence[str]] = {"run": ("OLLAMA_NOHISTORY", "OLLAMA_EDITOR"), "serve": tuple(VARIABLES)}
"""What single commands read besides."""

LEAST_COLUMNS = 40


class CommandModule(Protocol):
    """What a command's module offers; the docstring of `command` is its help, with lines of examples."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the words that the command takes."""

    def command(self, **values: str | bool | list[str] | None) -> None:
        """Run the command; the values have the names that were declared."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of ours; options may stand anywhere and are never abbreviated."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(
            prog=f"ollamapy {name}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self._name = name
        self._positionals.title, self._optionals.title = "Arguments", "Options"
        self.add_argument("-h", "--help", action="help", help="tell about the command")

    def format_help(self) -> str:
        """Return the help, as wide as the terminal; a value that an option may go without is shown joined to it."""
        columns = max(render.terminal_columns(), LEAST_COLUMNS) - 2
        self.description = wrapped(self.description or "", columns)
        self.epilog = variables_text(self._name, columns)
        return _BARE_OPTION.sub(r"\1[=\2]", super().format_help()).replace("usage: ", "Usage: ", 1)

    @property
    def declared(self) -> Sequence[argparse.Action]:
        """The words that were declared, in their order; argparse has no other name for them."""
        return tuple(self._actions)

    def error(self, message: str) -> NoReturn:
        """Raise InvalidInputError; of a missing word the message has its choices, too."""
        words = message.replace(PLAIN_WORD, "") + self._choices_of_missing(message)
        raise InvalidInputError(f"{words}; `ollamapy help {self._name}` tells more")

    def _choices_of_missing(self, message: str) -> str:
        _, _, missing = message.partition(_REQUIRED)
        choices = [word.choices for word in self._actions if word.choices and (word.metavar or word.dest) == missing]
        return f" ({', '.join(choices[0])})" if choices else ""


def invoke(module: CommandModule, name: str, words: Sequence[str]) -> None:
    """Run a command with its words; raises InvalidInputError if they can't be read and SystemExit after its help."""
    parser = make_parser(module, name)
    values = vars(parser.parse_intermixed_args(expand_bare_options(words)))
    module.command(**{key: unmarked(value) for key, value in values.items()})


def make_parser(module: CommandModule, name: str) -> Parser:
    """Return the parser of a command, which knows its words and tells its help."""
    parser = Parser(name, inspect.cleandoc(module.command.__doc__ or ""))
    module.add_arguments(parser)
    return parser


def wrapped(text: str, columns: int) -> str:
    """Return a text with its paragraphs refilled; those with indented lines, such as examples, stay as they are."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(part if "\n " in part else textwrap.fill(part, columns) for part in paragraphs)


def variables_text(name: str, columns: int) -> str:
    """Return the part of a command's help that tells which environment variables it reads."""
    read = (*CLIENT_VARIABLES, *MORE_VARIABLES.get(name, ()))
    shown = {key: text for key, text in VARIABLES.items() if key in read}
    width = max(map(len, shown)) + 4
    rows = [
        textwrap.fill(text, columns, initial_indent=f"  {key}".ljust(width), subsequent_indent=" " * width)
        for key, text in shown.items()
    ]
    return "\n".join(["Environment variables:", *rows])


def expand_bare_options(words: Sequence[str]) -> list[str]:
    """Return the words with the value of options that stand without one; what follows `--` is marked as plain."""
    end = words.index("--") if "--" in words else len(words)
    return [BARE_VALUES.get(word, word) for word in words[:end]] + [PLAIN_WORD + word for word in words[end + 1 :]]


def unmarked(value: str | bool | list[str] | None) -> str | bool | list[str] | None:
    """Return a value as it was typed."""
    if isinstance(value, list):
        return [word.removeprefix(PLAIN_WORD) for word in value]
    return value.removeprefix(PLAIN_WORD) if isinstance(value, str) else value


def clean_text(text: str) -> str:
    """Return an argument as Unicode text; bytes that were none are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def whole_number(option: str, text: str | None) -> int:
    """Read the value of an option that counts something, 0 where it was not given; raises InvalidInputError."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise InvalidInputError(f'invalid value "{text}" for {option}: write a whole number, such as 256')
    return int(text)


def positive_number(option: str, text: str | None) -> int:
    """Read the value of an option that can't be 0, which stands for one not given; raises InvalidInputError."""
    count = whole_number(option, text)
    if text is not None and not count:
        raise InvalidInputError(f'invalid value "{text}" for {option}: write a whole number from 1 on')
    return count
