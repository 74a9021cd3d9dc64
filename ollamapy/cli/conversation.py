"""The interactive loop of `ollamapy run`: reads messages, sends the whole chat, shows the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from ollamapy.cli import render
from ollamapy.cli.speak import Manner, Speaker, listen, load
from ollamapy.client import Client
from ollamapy.dialects.native import MessageRecord
from ollamapy.errors import OllamapyError, ServiceError
from ollamapy.types import ChatRequest, Message

with suppress(ImportError):
    import readline  # noqa: F401 - gives input() line editing where the platform has it

PROMPT = ">>> "
CONTINUATION = "... "
QUOTES = '"""'
FAREWELLS = ("/bye", "/exit")
HELP = '''Available commands:
  /clear          Forget the conversation so far
  /bye            Leave
  /?, /help       Show this text

Use """ to begin and end a message of several lines. Ctrl-C stops an answer, Ctrl-D leaves.
'''


class Composer:
    """Puts typed lines together into messages; three quotes begin and end one of several lines."""

    def __init__(self) -> None:
        self._lines: list[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message has begun that is not complete."""
        return self._lines is not None

    def feed(self, line: str) -> str | None:
        """Take a line and return the message that it completes."""
        if self._lines is None:
            if not line.startswith(QUOTES):
                return line
            self._lines, line = [], line[len(QUOTES) :]
        self._lines.append(line.removesuffix(QUOTES))
        return self.drop() if line.endswith(QUOTES) else None

    def drop(self) -> str:
        """Return what has been typed so far and begin anew."""
        text, self._lines = "\n".join(self._lines or ()), None
        return text


def converse(client: Client, manner: Manner, examples: Sequence[MessageRecord], reconnect: Callable[[], None]) -> None:
    """Hold a conversation until the user leaves; `examples` are the model's own first messages, shown once.

    `reconnect` brings back a daemon that went away, or raises ServiceError.
    """
    load(client, manner)
    show_examples(examples)
    chat = Chat(client, manner, reconnect)
    composer = Composer()
    while True:
        try:
            text = composer.feed(input(CONTINUATION if composer.is_open else PROMPT))
            if text is None or not text.strip():
                continue
            if "\n" not in text and text.split()[0] in FAREWELLS:
                return
            if not run_slash_command(text, chat):
                chat.say(text)
        except EOFError:
            render.line()
            return
        except KeyboardInterrupt:
            composer.drop()
            render.line("\nUse Ctrl + d or /bye to exit.")


def run_slash_command(text: str, chat: Chat) -> bool:
    """Obey a message that is a command; returns whether it was one."""
    name = text.split()[0]
    if not name.startswith("/") or "\n" in text:
        return False
    if name == "/clear":
        chat.clear()
        render.line("Cleared session context")
    elif name in ("/?", "/help"):
        render.line(HELP)
    else:
        render.line(f"Unknown command '{name}'. Type /? for help")
    return True


def show_examples(examples: Sequence[MessageRecord]) -> None:
    """Show the messages that the model brings along."""
    for message in examples:
        if message.role in ("user", "assistant"):
            render.line(PROMPT + message.content if message.role == "user" else message.content + "\n")


class Chat:
    """The messages of one conversation."""

    def __init__(self, client: Client, manner: Manner, reconnect: Callable[[], None]) -> None:
        self._client = client
        self._manner = manner
        self._reconnect = reconnect
        self._messages: tuple[Message, ...] = ()

    def clear(self) -> None:
        """Forget all messages."""
        self._messages = ()

    def say(self, text: str) -> None:
        """Send a message and show the answer; it is sent a second time where the daemon was gone.

        An interrupt keeps what was said until then. Where nothing was said, the message is forgotten too, so that turns
        always alternate.
        """
        asked = (*self._messages, Message("user", text))
        request = ChatRequest(
            model=self._manner.model,
            messages=asked,
            format=self._manner.format,
            think=self._manner.think,
            keep_alive_seconds=self._manner.keep_alive_seconds,
        )
        speaker = Speaker(self._manner)
        try:
            try:
                listen(self._client.chat(request), speaker)
            except ServiceError:
                if speaker.has_spoken:
                    raise
                self._reconnect()
                speaker = Speaker(self._manner)
                listen(self._client.chat(request), speaker)
            speaker.tell_statistics()
        except KeyboardInterrupt:
            render.line()
        except OllamapyError as exc:
            render.error(exc.message, render.terminal_columns() if self._manner.is_wrapped else None)
        if speaker.message.content:
            self._messages = (*asked, speaker.message)
