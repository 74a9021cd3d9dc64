"""What shells ask when Tab is pressed: `ollamapy __complete WORD...` prints what the last word may become.

A line is a word, a tab, and what it means; the line `:files` says that names of files fit too. Nothing is started and
no error is told: a completion that fails offers nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from ollamapy.cli import render
from ollamapy.cli.daemon import can_start
from ollamapy.cli.parsing import BARE_VALUES, CommandModule, make_parser
from ollamapy.client import Client
from ollamapy.config import read_settings
from ollamapy.errors import OllamapyError
from ollamapy.names import BUNDLED
from ollamapy.store import Store

Offer = tuple[str, str]
"""A word and what it means."""

FILES: Offer = (":files", "")
PATIENCE_SECONDS = 1.0
FLAGS: Mapping[str, str] = {"--help": "Tell about ollamapy", "--version": "Tell the version"}
MODEL_WORDS = ("MODEL", "SOURCE", "DESTINATION", "PREFIX")
OF_LOADED_MODELS = ("stop", "ps")
OF_STORED_MODELS = ("rm", "push", "update")
"""Commands that know nothing of a bundled model which was not made yet."""
VALUES: Mapping[str, Sequence[str]] = {
    "LEVEL": ("true", "false", "low", "medium", "high", "max"),
    "FORMAT": ("json",),
    "BOOL": ("true", "false"),
}
"""What may stand for a word of that name in a command's help."""


def tell(words: Sequence[str], commands: Mapping[str, str], module_of: Callable[[str], CommandModule]) -> None:
    """Print what the last of the words of a command line may become."""
    with suppress(OllamapyError):
        for word, about in offers(words, commands, module_of):
            render.line(f"{word}\t{about}" if about else word)


def offers(
    words: Sequence[str], commands: Mapping[str, str], module_of: Callable[[str], CommandModule]
) -> Iterator[Offer]:
    """Yield what the last of the words may become."""
    *before, typed = words or [""]
    if not before or before == ["help"]:
        yield from _fitting(typed, {**commands, **(FLAGS if typed.startswith("-") else {})}.items())
        return
    name = before[0]
    try:
        parser = make_parser(module_of(name), name)
    except ModuleNotFoundError:
        return
    arguments = parser.declared
    taking = _option(before[-1], arguments)
    if taking is not None and _takes_value(taking) and taking.metavar and before[-1] not in BARE_VALUES:
        yield from _fitting(typed, _values(taking, name))
    elif typed.startswith("--") and "=" in typed:
        option, _, _ = typed.partition("=")
        found = _option(option, arguments)
        if found is not None:
            yield from _fitting(typed, ((f"{option}={word}", about) for word, about in _values(found, name)))
    elif typed.startswith("-") and "--" not in before:
        yield from _fitting(typed, _flags(arguments))
    else:
        place = _place(before[1:], arguments)
        if place is not None:
            yield from _fitting(typed, _values(place, name))


def _fitting(typed: str, offered: Iterable[Offer]) -> Iterator[Offer]:
    for offer in offered:
        if offer == FILES or offer[0].lower().startswith(typed.lower()):
            yield offer


def _flags(arguments: Sequence[argparse.Action]) -> Iterator[Offer]:
    for argument in arguments:
        for option in argument.option_strings:
            if option.startswith("--"):
                yield option, (argument.help or "").replace("%(default)s", str(argument.default))


def _option(word: str, arguments: Sequence[argparse.Action]) -> argparse.Action | None:
    return next((argument for argument in arguments if word in argument.option_strings), None)


def _takes_value(argument: argparse.Action) -> bool:
    return argument.nargs != 0


def _place(words: Sequence[str], arguments: Sequence[argparse.Action]) -> argparse.Action | None:
    """Return what the next word stands for, behind these words of the command."""
    places = [argument for argument in arguments if not argument.option_strings]
    count, is_value = 0, False
    for word in words:
        option = _option(word, arguments)
        if not is_value and option is None and not (word.startswith("-") and len(word) > 1):
            count += 1
        is_value = option is not None and _takes_value(option) and word not in BARE_VALUES
    if not places:
        return None
    last = places[-1]
    return places[count] if count < len(places) else last if last.nargs in ("*", "+") else None


def _values(argument: argparse.Action, name: str) -> Iterator[Offer]:
    """Yield what may stand for an argument of a command."""
    if argument.choices:
        yield from ((str(choice), "") for choice in argument.choices)
    elif argument.metavar in MODEL_WORDS:
        models = model_names(are_loaded=name in OF_LOADED_MODELS)
        if name not in (*OF_LOADED_MODELS, *OF_STORED_MODELS):
            models += [model for model in BUNDLED if f"{model}:latest" not in models]
        yield from ((model, "") for model in models)
    elif argument.metavar == "FILE":
        yield FILES
    else:
        yield from ((value, "") for value in VALUES.get(str(argument.metavar), ()))


def model_names(*, are_loaded: bool) -> list[str]:
    """Return the names of the models, from the daemon, or from the store where none runs on this machine."""
    settings = read_settings(os.environ)
    with Client(settings.host.base_url, settings.api_key, PATIENCE_SECONDS) as client:
        if client.probe() == "running":
            found = client.ps().models if are_loaded else client.list().models
            return [model.name for model in found]
    if are_loaded or not can_start(settings.host):
        return []
    return [str(stored.name) for stored in Store(settings.models_dir).list_manifests()]
