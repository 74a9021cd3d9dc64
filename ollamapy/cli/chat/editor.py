"""The prompt of the conversation: the home of prompt_toolkit, which is loaded when a chat begins and not before."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import ConditionalKeyBindings, KeyBindings, KeyBindingsBase, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from ollamapy.cli import render
from ollamapy.cli.chat.completion import Names, candidates
from ollamapy.cli.chat.history import append_entry, read_entries
from ollamapy.cli.chat.quotes import is_open
from ollamapy.cli.chat.session import PROMPT

CONTINUATION = "... "
PLACEHOLDER = "Send a message (/? for help)"
MENU_LINES = 8
EDITORS = ("nano", "vim", "vi")
PATH_MARKS = ("./", "../", "~/")
STYLE = Style.from_dict(
    {"bottom-toolbar": "noreverse fg:ansibrightblack", "placeholder": "fg:ansibrightblack", "prompt": ""}
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the prompt asks for while it is used: names of models, the line below it, whether to keep what is typed.

    `history` is None where nothing is kept. `editor` is the command that Ctrl-G starts, "" for one that is found.
    """

    names: Names
    status: Callable[[], str]
    keeps_history: Callable[[], bool]
    history: Path | None
    editor: str = ""
    has_colour: bool = True


class Editor:
    """Reads messages that a person types; `typed` came before the first prompt, and is read first."""

    def __init__(self, around: Surroundings, typed: str = "") -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_Typed(around),
            multiline=True,
            completer=_Offers(around.names),
            complete_while_typing=False,
            reserve_space_for_menu=MENU_LINES,
            key_bindings=_bindings(around.editor),
            bottom_toolbar=lambda: f" {around.status()}",
            prompt_continuation=CONTINUATION,
            placeholder=_placeholder,
            enable_suspend=True,
            style=STYLE,
            color_depth=None if around.has_colour else ColorDepth.DEPTH_1_BIT,
        )
        keys: list[KeyPress] = []
        Vt100Parser(keys.append).feed_and_flush(typed)
        store_typeahead(self._session.input, keys)

    def read(self) -> str:
        """Return the next message; raises EOFError for Ctrl-D and KeyboardInterrupt for Ctrl-C at an empty prompt."""
        return self._session.prompt(PROMPT)


class _Typed(History):
    """What was typed, here and in earlier conversations."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self._around = around

    def load_history_strings(self) -> Iterable[str]:
        """Yield what was typed, the newest first."""
        path = self._around.history
        return reversed(read_entries(path)) if path else ()

    def store_string(self, string: str) -> None:
        """Keep what was typed."""
        if self._around.history and self._around.keeps_history():
            append_entry(self._around.history, string)


class _Offers(Completer):
    """What Tab offers: the words of commands, and files."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what the text before the cursor may go on with."""
        line = document.text_before_cursor
        typed = line.rpartition(" ")[2].rpartition("\n")[2]
        for offered in candidates(line, self._names):
            yield Completion(offered.word, -len(typed), display_meta=offered.about)
        is_path = typed.startswith("/") and typed.count("/") > (1 if typed == line else 0)
        if is_path or typed.startswith(PATH_MARKS):
            yield from self._paths.get_completions(Document(typed), complete_event)


def _placeholder() -> StyleAndTextTuples:
    """Return what stands in an empty message; a search shows what it found there."""
    return [] if get_app().layout.is_searching else [("class:placeholder", PLACEHOLDER)]


def _bindings(editor: str) -> KeyBindingsBase:
    """Return our own keys, which hold for the message and not for what is searched for."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open(buffer.text):
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("c-j")
    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    @keys.add(Keys.SIGINT)
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    @keys.add("c-g")
    async def _(event: KeyPressEvent) -> None:
        await run_in_terminal(lambda: _edit(event.current_buffer, editor), in_executor=True)

    return ConditionalKeyBindings(keys, has_focus(DEFAULT_BUFFER))


def _edit(buffer: Buffer, editor: str) -> None:
    """Have the user write the message in an editor of their own."""
    command = shlex.split(editor) or [found for name in EDITORS if (found := shutil.which(name))][:1]
    if not command:
        render.note("There is no editor; set OLLAMA_EDITOR")
        return
    with tempfile.TemporaryDirectory(prefix="ollamapy-") as folder:
        path = Path(folder) / "message.md"
        path.write_text(buffer.text)
        try:
            subprocess.run([*command, os.fspath(path)], check=False)  # noqa: S603 - the user's own choice
            text = path.read_text(errors="replace").rstrip("\n")
        except OSError as exc:
            render.note(f"{command[0]} can't be used as an editor: {exc.strerror}; set OLLAMA_EDITOR")
            return
    buffer.document = Document(text)
