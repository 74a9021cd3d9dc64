"""The loop of the conversation: reads messages and commands until the user leaves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ollamapy.cli import render
from ollamapy.cli.attachments import begins_with_file
from ollamapy.cli.chat.commands import is_command, is_farewell, obey
from ollamapy.cli.chat.editor import Editor, Surroundings
from ollamapy.cli.chat.history import history_path
from ollamapy.cli.chat.quotes import unquoted
from ollamapy.cli.chat.session import Chat
from ollamapy.client import Client
from ollamapy.config import Settings
from ollamapy.errors import OllamapyError

FAREWELL_HINT = "Use Ctrl + d or /bye to exit."


def converse(chat: Chat, settings: Settings, typed: str) -> None:
    """Hold a conversation until the user leaves; `typed` was typed before there was a prompt."""
    chat.begin()
    around = Surroundings(
        names=lambda: model_names(chat.client),
        status=lambda: chat.status,
        keeps_history=lambda: chat.keeps_history,
        history=None if settings.no_history else history_path(),
        editor=settings.editor,
        has_colour=not settings.no_color,
    )
    with suppress(EOFError):
        answer_all(chat, Editor(around, typed))


def answer_all(chat: Chat, editor: Editor) -> None:
    """Answer what is typed until it is a farewell; raises EOFError for Ctrl-D."""
    while True:
        try:
            text = editor.read()
        except KeyboardInterrupt:
            render.line(FAREWELL_HINT)
            continue
        if is_farewell(text):
            return
        if text.strip():
            answer(chat, text)


def answer(chat: Chat, text: str) -> None:
    """Carry out a command or send a message; Ctrl-C ends that and nothing else."""
    try:
        if is_command(text) and not begins_with_file(text):
            obey(chat, text)
        else:
            chat.say(unquoted(text))
    except KeyboardInterrupt:
        render.line()


def model_names(client: Client) -> Sequence[str]:
    """Return the names of all models, none where nobody tells them."""
    with suppress(OllamapyError):
        return [model.name for model in client.list().models]
    return ()
