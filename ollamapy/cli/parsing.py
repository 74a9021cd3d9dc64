"""From a command's words to a call of its function: the home of argparse."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol

from ollamapy.config import VARIABLES
from ollamapy.errors import InvalidInputError

BARE_VALUES: Mapping[str, str] = {"--think": "--think=true", "--truncate": "--truncate=true"}
"""Options that may stand without a value, and what they mean then: they never take the next word."""

MOST_DIGITS = 9
PLAIN_WORD = "\0"
"""Stands before a word that is no option whatever it looks like; no word of a command line can hold it."""

_BARE_OPTION = re.compile(rf"({'|'.join(BARE_VALUES)}) ([A-Z]+)( {{2}}(?= {{2}}))?")
CLIENT_VARIABLES = ("OLLAMA_HOST", "OLLAMA_API_KEY", "NO_COLOR")


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
            epilog=variables_text(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._name = name

    def format_help(self) -> str:
        """Return the help, where an option that may stand bare shows that its value is joined to it."""
        return _BARE_OPTION.sub(r"\1[=\2]", super().format_help())

    @property
    def declared(self) -> Sequence[argparse.Action]:
        """The words that were declared, in their order; argparse has no other name for them."""
        return tuple(self._actions)

    def error(self, message: str) -> NoReturn:
        """Raise InvalidInputError."""
        raise InvalidInputError(f"{message.replace(PLAIN_WORD, '')}; `ollamapy help {self._name}` tells more")


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


def variables_text(name: str) -> str:
    """Return the part of a command's help that tells which environment variables it reads."""
    is_client = name != "serve"
    shown = {key: text for key, text in VARIABLES.items() if not is_client or key in CLIENT_VARIABLES}
    width = max(map(len, shown)) + 2
    return "\n".join(["environment variables:", *(f"  {key.ljust(width)}{text}" for key, text in shown.items())])


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
