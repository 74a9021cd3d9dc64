"""The commands of the conversation, which begin with a slash."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from ollamapy.cli import render
from ollamapy.cli.chat.help import SETTINGS, help_text
from ollamapy.cli.chat.quotes import unquoted
from ollamapy.cli.chat.session import THINKING, Chat
from ollamapy.cli.list import HEADER, rows
from ollamapy.cli.show import section_lines, sections
from ollamapy.cli.speak import Manner
from ollamapy.cli.values import parse_think
from ollamapy.errors import InvalidInputError, OllamapyError
from ollamapy.options import RULES, options_from_parameters, options_to_parameters
from ollamapy.types import CreateRequest, Message, Options

FAREWELLS = ("/bye", "/exit")
HELP = ("/?", "/help")


def is_command(text: str) -> bool:
    """Whether a message is written as a command: it begins with a slash, and only a system message has more lines."""
    return text.startswith("/") and ("\n" not in text or text.split()[:2] == ["/set", "system"])


def is_farewell(text: str) -> bool:
    """Whether a message ends the conversation."""
    return is_command(text) and text.split()[0] in FAREWELLS


def obey(chat: Chat, text: str) -> None:
    """Carry out a command and tell what came of it; errors are told, too."""
    name, _, rest = text.strip().partition(" ")
    if name not in COMMANDS:
        render.line(f"Unknown command '{name}'. Type /? for help")
        return
    try:
        COMMANDS[name](chat, rest.strip())
    except OllamapyError as exc:
        chat.tell(exc)


def _help(_chat: Chat, topic: str) -> None:
    render.line(help_text(topic))


def _clear(chat: Chat, _rest: str) -> None:
    chat.clear()
    render.line("Cleared session context")


def _list(chat: Chat, prefix: str) -> None:
    found = [model for model in chat.client.list().models if model.name.lower().startswith(prefix.lower())]
    render.table(HEADER, rows(found, datetime.now(UTC)))


def _load(chat: Chat, model: str) -> None:
    if not model:
        render.line("Usage:\n  /load MODEL")
        return
    shown = chat.client.show(model)
    render.line(f"Loading model '{model}'")
    chat.change_model(model, shown)


def _save(chat: Chat, model: str) -> None:
    if not model:
        render.line("Usage:\n  /save MODEL")
        return
    own = tuple(Message(message.role, message.content) for message in chat.shown.messages)
    request = CreateRequest(
        model=model,
        base=chat.manner.model,
        system=chat.manner.system,
        parameters=None if chat.manner.options == Options() else chat.manner.options,
        messages=(*own, *chat.messages) if chat.messages else (),
    )
    for _ in chat.client.create(request):
        pass
    render.line(f"Created new model '{model}'")
    if any(message.images for message in chat.messages):
        render.line("Images are not saved; their messages are")


def _show(chat: Chat, part: str) -> None:
    shown, manner = chat.shown, chat.manner
    if part == "info":
        text = "\n".join(section_lines(sections(shown, verbose=False))).rstrip()
    elif part == "license":
        text = shown.license or "No license was specified for this model."
    elif part == "modelfile":
        text = shown.modelfile.rstrip()
    elif part == "parameters":
        own = "\n".join(f"{name:<30} {value}" for name, value in options_to_parameters(manner.options))
        text = f"Model defined parameters:\n{_indented(shown.parameters)}\n\n"
        text += f"Session defined parameters:\n{_indented(own)}"
    elif part == "system":
        text = manner.system or shown.system or "No system message was specified for this model."
    elif part == "template":
        text = shown.template or "No prompt template was specified for this model."
    else:
        text = f"Unknown command '/show {part}'. Type /? show for help" if part else help_text("show").rstrip()
    render.line(text + "\n")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in (text or "none").splitlines())


def _set(chat: Chat, rest: str) -> None:
    name, _, value = rest.partition(" ")
    if name in SWITCHES:
        chat.manner = SWITCHES[name](chat.manner)
        render.line(f"Set '{name}' mode.")
    elif name in ("history", "nohistory"):
        chat.keeps_history = name == "history"
        render.line("What is typed is kept." if chat.keeps_history else "What is typed is not kept.")
    elif name == "noformat":
        chat.manner = replace(chat.manner, format=None)
        render.line("Disabled format.")
    elif name in SETTERS:
        SETTERS[name](chat, value.strip())
    else:
        render.line(f"Unknown command '/set {name}'. Type /? set for help" if name else help_text("set"))


def _set_format(chat: Chat, value: str) -> None:
    if value != "json":
        render.line("Invalid or missing format. For 'json' mode use '/set format json'")
        return
    chat.manner = replace(chat.manner, format="json")
    render.line("Set format to 'json' mode.")


def _set_think(chat: Chat, value: str) -> None:
    chat.manner = replace(chat.manner, think=parse_think(value or "true"))
    if THINKING not in chat.shown.capabilities:
        render.line(f"Warning: {chat.manner.model} is not known to think")
    render.line(f"Set 'think' mode to '{value}'." if value else "Set 'think' mode.")


def _set_system(chat: Chat, value: str) -> None:
    if not value:
        render.line(f"Usage:\n  /set system {SETTINGS['system'][0]}")
        return
    chat.manner = replace(chat.manner, system=unquoted(value))
    render.line("Set system message.")


def _set_parameter(chat: Chat, value: str) -> None:
    name, *values = _words(value) or [""]
    if not values:
        render.line("Usage:\n  /set parameter NAME VALUE...\n")
        render.line(chat.wrapped("Names: " + ", ".join(sorted(RULES))))
        return
    if len(values) > 1 and name in RULES and RULES[name].kind != "array":
        raise InvalidInputError(f"the parameter {name} takes one value")
    given = options_from_parameters((name, text) for text in values)
    chat.manner = replace(chat.manner, options=given.over(chat.manner.options))
    render.line(f"Set parameter '{name}' to '{', '.join(values)}'")


def _words(text: str) -> list[str]:
    """Return the words of a text; quotes hold one together where they are closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


SWITCHES: Mapping[str, Callable[[Manner], Manner]] = {
    "wordwrap": lambda manner: replace(manner, is_wrapped=True),
    "nowordwrap": lambda manner: replace(manner, is_wrapped=False),
    "markdown": lambda manner: replace(manner, has_markdown=True),
    "nomarkdown": lambda manner: replace(manner, has_markdown=False),
    "verbose": lambda manner: replace(manner, is_verbose=True),
    "quiet": lambda manner: replace(manner, is_verbose=False),
    "nothink": lambda manner: replace(manner, think=False),
}
"""The settings without a value."""

SETTERS: Mapping[str, Callable[[Chat, str], None]] = {
    "parameter": _set_parameter,
    "system": _set_system,
    "format": _set_format,
    "think": _set_think,
}
COMMANDS: Mapping[str, Callable[[Chat, str], None]] = {
    "/set": _set,
    "/show": _show,
    "/load": _load,
    "/save": _save,
    "/list": _list,
    "/clear": _clear,
    **dict.fromkeys(HELP, _help),
}
