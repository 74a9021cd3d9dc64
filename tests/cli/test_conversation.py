"""The interactive loop, on a terminal."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ollamapy.cli.conversation import Chat, Composer
from ollamapy.cli.speak import Manner
from ollamapy.client import Client
from ollamapy.errors import ServiceError
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama, serving


def test_a_line_is_a_message_and_the_whole_chat_is_sent(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_terminal("run", "wren:latest", "--verbose") as terminal:
        terminal.read_until(">>> ")
        terminal.type("good day\n")
        terminal.read_until("eval rate:")
        terminal.read_until(">>> ")
        terminal.type("and you?\n")
        terminal.read_until("and you? \r\n")
        terminal.read_until(">>> ")
        terminal.type("/bye\n")
        assert terminal.read_to_end()[1] == 0
    assert fake.body("/api/chat")["messages"] == [
        {"role": "user", "content": "good day"},
        {"role": "assistant", "content": "good day "},
        {"role": "user", "content": "and you?"},
    ]


def test_three_quotes_hold_several_lines(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_terminal("run", "wren:latest") as terminal:
        terminal.read_until(">>> ")
        terminal.type('"""one\n')
        terminal.read_until("... ")
        terminal.type('two"""\n')
        terminal.read_until("one\r\ntwo \r\n")
        terminal.read_until(">>> ")
    assert fake.body("/api/chat")["messages"] == [{"role": "user", "content": "one\ntwo"}]


def test_an_interrupt_stops_the_answer_and_keeps_the_session(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_terminal("run", "wren:latest") as terminal:
        terminal.read_until(">>> ")
        terminal.type("endless\n")
        terminal.read_until("more more ")
        terminal.interrupt()
        terminal.read_until(">>> ")
        assert fake.client_left.wait(20)
        terminal.type("go on\n")
        terminal.read_until("go on \r\n")
        terminal.read_until(">>> ")
        terminal.type("\x04")
        assert terminal.read_to_end()[1] == 0
    roles = [message["role"] for message in fake.body("/api/chat")["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_an_interrupt_at_the_prompt_tells_how_to_leave(ollamapy: Command) -> None:
    with ollamapy.on_terminal("run", "wren:latest") as terminal:
        terminal.read_until(">>> ")
        terminal.type('"""half a mess')
        terminal.read_until("mess")
        terminal.interrupt_until("Use Ctrl + d or /bye to exit.")
        terminal.read_until(">>> ")
        terminal.type("/exit\n")
        assert terminal.read_to_end()[1] == 0


def test_clear_forgets_the_chat_and_other_commands_answer(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_terminal("run", "wren:latest") as terminal:
        for typed, answer in (
            ("first", "first \r\n"),
            ("/clear", "Cleared session context"),
            ("/?", "Available commands:"),
            ("/what", "Unknown command '/what'. Type /? for help"),
            ("second", "second \r\n"),
        ):
            terminal.read_until(">>> ")
            terminal.type(f"{typed}\n")
            terminal.read_until(answer)
    assert fake.body("/api/chat")["messages"] == [{"role": "user", "content": "second"}]


def test_an_error_ends_the_answer_but_not_the_session(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_terminal("run", "wren:latest") as terminal:
        terminal.read_until(">>> ")
        terminal.type("busy\n")
        terminal.read_until("Error: server busy, please try again.")
        terminal.read_until(">>> ")
        terminal.type("again\n")
        terminal.read_until("again \r\n")
    assert fake.body("/api/chat")["messages"] == [{"role": "user", "content": "again"}]


def test_after_the_daemons_death_the_next_message_reaches_the_next_daemon(
    fake: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(fake.app()) as url:
        pass
    with ExitStack() as stack:
        client = stack.enter_context(Client(url))
        port = int(url.rpartition(":")[2])

        def come_back() -> None:
            stack.enter_context(serving(fake.app(), port))

        Chat(client, Manner("wren:latest"), come_back).say("hello again")
    assert capsys.readouterr() == ("hello again \n", "")


def test_where_no_daemon_comes_back_the_session_goes_on_with_a_wrapped_error(
    ollamapy: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ServiceError("the daemon could not be started")

    with Client("127.0.0.1:1") as client:
        Chat(client, Manner("wren:latest"), fail).say("hello")
    assert capsys.readouterr() == ("", "Error: the daemon could not be started\n")
    with ollamapy.on_terminal("run", "wren:latest", COLUMNS="30") as terminal:
        terminal.read_until(">>> ")
        terminal.type("busy\n")
        terminal.read_until("Error: server busy, \r\nplease try again.")
        terminal.read_until(">>> ")
        terminal.type("/bye for now\n")
        assert terminal.read_to_end()[1] == 0


def test_the_models_own_messages_are_shown_first(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("polite", messages=[{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello to you."}])
    with ollamapy.on_terminal("run", "polite") as terminal:
        terminal.read_until(">>> Hi!\r\nHello to you.\r\n")
        terminal.read_until(">>> ")


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["hello"], ["hello"]),
        (['"""hello"""'], ["hello"]),
        (['"""', "a", '"""'], ["\na\n"]),
        (['"""a', "", "b", 'c"""', "d"], ["a\n\nb\nc", "d"]),
        (['say "x"'], ['say "x"']),
    ],
    ids=str,
)
def test_lines_become_messages(lines: list[str], messages: list[str]) -> None:
    composer = Composer()
    assert [message for line in lines if (message := composer.feed(line)) is not None] == messages
    assert not composer.is_open
