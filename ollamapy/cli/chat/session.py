"""One conversation: its messages, how the model is asked, and what is known of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ollamapy.cli import render
from ollamapy.cli.attachments import Attached, attach_media, attach_texts, names_media
from ollamapy.cli.chat.status import status_words
from ollamapy.cli.errors import told
from ollamapy.cli.speak import Manner, Speaker, listen, load
from ollamapy.cli.wrap import WordWrap
from ollamapy.client import Client
from ollamapy.dialects.native import ChatRecord, GenerateRecord, MessageRecord, ShowRecord
from ollamapy.errors import InvalidFileError, OllamapyError, ServiceError
from ollamapy.types import ChatRequest, Message

PROMPT = ">>> "
VISION = "vision"
THINKING = "thinking"


class Chat:
    """The messages so far with the manner of asking; `reconnect` brings back a daemon that went away.

    It may raise ServiceError.
    """

    def __init__(self, client: Client, manner: Manner, shown: ShowRecord, reconnect: Callable[[], None]) -> None:
        self.client = client
        self.manner = manner
        self.shown = shown
        self.messages: tuple[Message, ...] = ()
        self.keeps_history = True
        self._reconnect = reconnect
        self._last: ChatRecord | GenerateRecord | None = None

    @property
    def status(self) -> str:
        """The line below the prompt."""
        return status_words(self.manner.model, self._last)

    def begin(self) -> None:
        """Load the model and show the messages that it brings along."""
        load(self.client, self.manner)
        show_examples(self.shown.messages)

    def change_model(self, model: str, shown: ShowRecord) -> None:
        """Go on with another model and no messages; raises OllamapyError, and stays, if it can't be loaded."""
        think = True if THINKING in shown.capabilities else None
        manner = replace(self.manner, model=model, think=think)
        load(self.client, manner)
        self.manner, self.shown = manner, shown
        self.clear()
        show_examples(shown.messages)

    def clear(self) -> None:
        """Forget all messages."""
        self.messages, self._last = (), None

    def say(self, text: str) -> None:
        """Send a message and show the answer; errors are told and end the answer alone.

        An interrupt keeps what was said until then. Where nothing was said, the message is forgotten too, so that turns
        always alternate.
        """
        try:
            attached = self._attach(text)
        except InvalidFileError as exc:
            self.tell(exc)
            return
        asked = (*self.messages, Message("user", attached.text, images=attached.images))
        speaker = Speaker(self.manner, self.client)
        try:
            if not self._is_answered(asked, speaker):
                speaker = Speaker(self.manner, self.client)
                listen(self.client.chat(self._request(asked)), speaker)
            speaker.tell_end()
        except KeyboardInterrupt:
            pass  # the prompt that comes next tells it
        except OllamapyError as exc:
            self.tell(exc)
        if speaker.last is not None and speaker.last.done:
            self._last = speaker.last
        if speaker.message.content:
            self.messages = (*asked, speaker.message)

    def _is_answered(self, asked: tuple[Message, ...], speaker: Speaker) -> bool:
        """Show the answer; False where the daemon was gone and is back, so that the messages are to be sent again."""
        try:
            listen(self.client.chat(self._request(asked)), speaker)
        except ServiceError:
            if speaker.last is not None:
                raise
            self._reconnect()
            return False
        return True

    def _request(self, asked: tuple[Message, ...]) -> ChatRequest:
        manner = self.manner
        system = () if manner.system is None else (Message("system", manner.system),)
        return ChatRequest(
            model=manner.model,
            messages=(*system, *asked),
            format=manner.format,
            options=manner.options,
            think=manner.think,
            keep_alive_seconds=manner.keep_alive_seconds,
        )

    def _attach(self, text: str) -> Attached:
        """Return the message with the files that it names; the user is told of each."""
        media = Attached(text)
        if VISION in self.shown.capabilities:
            media = attach_media(text)
        else:
            for path in names_media(text):
                render.note(f"{self.manner.model} can't see pictures: of '{path}' it gets the path alone")
        quoted = attach_texts(media.text)
        for note in (*media.notes, *quoted.notes):
            render.note(note)
        return Attached(quoted.text, media.images)

    def tell(self, error: OllamapyError) -> None:
        """Tell what went wrong."""
        render.note(self.wrapped(f"Error: {told(error)}"))

    def wrapped(self, text: str) -> str:
        """Return a text with lines as long as the terminal's, where they shall be wrapped."""
        if not self.manner.is_wrapped:
            return text
        wrap = WordWrap(render.terminal_columns())
        return wrap.feed(text) + wrap.end()


def show_examples(examples: Sequence[MessageRecord]) -> None:
    """Show the messages that a model brings along."""
    for message in examples:
        if message.role in ("user", "assistant"):
            render.line(PROMPT + message.content if message.role == "user" else message.content + "\n")
