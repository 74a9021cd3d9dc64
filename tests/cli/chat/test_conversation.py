"""The conversation on a real terminal: what is on its screen, and what the server is asked."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

HISTORY = Path(".local/state/ollamapy/history")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*[349]\d[\d;]*m")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def messages(fake: FakeOllama) -> list[dict[str, object]]:
    return fake.body("/api/chat")["messages"]


def test_a_line_is_a_message_and_the_whole_chat_is_sent(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest", "--verbose") as screen:
        screen.enter("good day")
        screen.wait_for("eval rate:            10.00 tokens/s")
        screen.enter("and you?")
        screen.wait_for("\nand you?")
        screen.enter("/bye")
        assert screen.wait_for_end() == 0
        assert screen.lines[:4] == [">>> good day", "good day", "", "total duration:       2.5s"]
    assert messages(fake) == [
        {"role": "user", "content": "good day"},
        {"role": "assistant", "content": "good day "},
        {"role": "user", "content": "and you?"},
    ]


def test_three_quotes_hold_several_lines(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter('"""one')
        screen.wait_for("\n...")
        screen.type('two"""\r')
        screen.wait_for("\none\ntwo\n")
        assert screen.lines[:2] == ['>>> """one', '... two"""']
    assert messages(fake) == [{"role": "user", "content": "one\ntwo"}]


def test_a_paste_and_control_j_make_lines_that_wait_for_enter(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.wait_for_prompt()
        screen.type("\x1b[200~one\r\ntwo\x1b[201~\nthree")
        screen.wait_for("... three")
        assert fake.paths("/api/chat") == 0
        screen.type("\r")
        screen.wait_for("\none\ntwo\nthree\n")
    assert messages(fake) == [{"role": "user", "content": "one\ntwo\nthree"}]


def test_an_interrupt_stops_the_answer_and_keeps_the_session(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter("endless")
        screen.wait_for("more more ")
        screen.type("\x03")
        screen.wait_for_prompt()
        assert fake.client_left.wait(20)
        screen.enter("go on")
        screen.wait_for("\ngo on")
        screen.wait_for_prompt()
        screen.type("\x04")
        assert screen.wait_for_end() == 0
    assert [message["role"] for message in messages(fake)] == ["user", "assistant", "user"]


def test_an_interrupt_at_the_prompt_drops_what_is_typed_and_tells_how_to_leave(ollamapy: Command) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter('"""half a')
        screen.type("message")
        screen.wait_for("... message")
        screen.type("\x03")
        screen.wait_for_prompt()
        assert "half" not in screen.text
        screen.type("\x03")
        screen.wait_for("Use Ctrl + d or /bye to exit.")
        screen.enter("/exit")
        assert screen.wait_for_end() == 0


def test_what_is_typed_while_an_answer_comes_is_sent_next_and_not_echoed_into_it(
    ollamapy: Command, fake: FakeOllama
) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter("endless")
        screen.wait_for("more more ")
        screen.type("early\r")
        before = screen.text.count("more")
        screen.wait_until(lambda: screen.text.count("more") > before + 20)
        assert "early" not in screen.text
        screen.type("\x03")
        screen.wait_for(">>> early")
        screen.wait_for_prompt()
    assert messages(fake)[-1] == {"role": "user", "content": "early"}


def test_a_message_typed_before_the_prompt_is_sent(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.type("at once\rhalf")
        screen.wait_for("\nat once\n")
        screen.wait_until(lambda: screen.is_ready or ">>> half" in screen.text)
        screen.type(" a line\r")
        screen.wait_for("\nhalf a line\n")
    assert [message["content"] for message in messages(fake) if message["role"] == "user"] == ["at once", "half a line"]


def test_an_end_typed_before_the_prompt_ends_the_session(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.type("\x04")
        assert screen.wait_for_end() == 0
    assert fake.paths("/api/chat") == 0


def test_an_error_ends_the_answer_but_not_the_session(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest", columns=40) as screen:
        screen.enter("busy")
        screen.wait_for("Error: server busy, please try\nagain.")
        screen.enter("fail")
        screen.wait_for("Half an\n")
        screen.wait_for("Error: the worker fell over")
        screen.enter("better")
        screen.wait_for("\nbetter")
        screen.wait_for_prompt()
    assert [message["content"] for message in messages(fake)] == ["fail", "Half an", "better"]


def test_the_models_own_messages_are_shown_first(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("polite", messages=[{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello to you."}])
    with ollamapy.on_screen("run", "polite") as screen:
        screen.wait_for_prompt()
        assert screen.lines[:4] == [">>> Hi!", "Hello to you.", "", ">>> Send a message (/? for help)"]


def test_the_line_below_tells_speed_context_and_cache(ollamapy: Command, fake: FakeOllama) -> None:
    fake.metrics |= {"cached_tokens": 3, "num_ctx": 2048}
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.wait_until(lambda: screen.lines[-1] == " wren:latest")
        screen.enter("hello")
        told = " wren:latest · 10.0 tokens/s · context 14 of 2048 (0%) · 3 cached"
        screen.wait_for(told)
        screen.enter("endless")
        screen.wait_for("more more ")
        screen.type("\x03")
        screen.wait_for_prompt()
        screen.wait_until(lambda: screen.lines[-1] == told, "the same line")


def test_markdown_is_shown_as_what_it_means_and_wrapped_by_width(ollamapy: Command) -> None:
    text = "say **bold** `code` " + "日本" * 12
    with ollamapy.on_screen("run", "wren:latest", columns=40) as screen:
        screen.enter(text)
        screen.wait_for("say bold code")
        screen.wait_for_prompt()
        assert "say bold code 日本日本日本日本日本\n日本日本日本" in screen.text.replace(" \n", "\n")
        assert screen.styles_of("bold code") == {"bold", "cyan"}
        screen.enter("/set nomarkdown")
        screen.enter("show **it**")
        screen.wait_for("\nshow **it**")
    with ollamapy.on_screen("run", "wren:latest", NO_COLOR="1") as screen:
        screen.enter("show **it**")
        screen.wait_for("\nshow **it**")
        screen.enter("/bye")
        screen.wait_for_end()
        assert COLOUR.search(screen.raw) is None


def test_thinking_is_dimmed_and_can_be_hidden(ollamapy: Command) -> None:
    with ollamapy.on_screen("run", "thinker:latest") as screen:
        screen.enter("think")
        screen.wait_for("Thinking...\nLet me see.\n...done thinking.\n\nthink\n")
        assert b"\x1b[2mThinking..." in screen.raw
    with ollamapy.on_screen("run", "thinker:latest", "--hidethinking") as screen:
        screen.enter("think")
        screen.wait_for("\nthink\n")
        assert "Thinking..." not in screen.text


def test_tab_completes_commands_settings_models_and_files(ollamapy: Command, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(PNG)
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.wait_for_prompt()
        for typed, shown in (
            ("/sho\t", ">>> /show"),
            (" inf\t", ">>> /show info"),
            ("\x03/set parameter min\t", ">>> /set parameter min_p"),
            ("\x03/load thin\t", ">>> /load thinker:latest"),
            (f"\x03see {tmp_path}/pict\t", "picture.png"),
        ):
            screen.type(typed)
            screen.wait_for(shown)


def test_what_was_typed_is_there_in_the_next_session_unless_told_otherwise(ollamapy: Command) -> None:
    path = ollamapy.home / HISTORY
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter("the first")
        screen.enter('"""two\r lines"""')
        screen.enter("/set nohistory")
        screen.enter("a secret")
        screen.enter("/bye")
        assert screen.wait_for_end() == 0
    typed = ["the first", '"""two\n lines"""', "/set nohistory"]
    assert [json.loads(line) for line in path.read_text().splitlines()] == typed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ollamapy.on_screen("run", "wren:latest", OLLAMA_NOHISTORY="1") as screen:
        screen.enter("unseen")
        screen.wait_for("\nunseen")
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.wait_for_prompt()
        screen.type("\x10\x10\x10\x10")
        screen.wait_for(">>> the first")
    assert "unseen" not in path.read_text()


def test_earlier_messages_are_searched_and_the_search_can_be_left(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        screen.enter("the duck")
        screen.wait_for("\nthe duck\n")
        for leave in ("\x03", "\r"):
            screen.wait_for_prompt()
            screen.type("\x12duck")
            screen.wait_for("I-search backward: duck")
            assert ">>> the duck\n" in screen.text
            screen.type(leave)
            screen.wait_until(lambda: "I-search" not in screen.text, "the end of the search")
        screen.type("\x05 again\r")
        screen.wait_for("\nthe duck again")
    assert messages(fake)[-1]["content"] == "the duck again"


def test_images_are_sent_by_their_path_and_texts_quoted(ollamapy: Command, fake: FakeOllama, tmp_path: Path) -> None:
    fake.add("seer", capabilities=["completion", "vision"])
    folder = tmp_path / "my files"
    folder.mkdir()
    (folder / "p.png").write_bytes(PNG)
    (folder / "fake.jpg").write_bytes(b"no image")
    (tmp_path / "note.txt").write_text("milk\n")
    escaped = str(folder).replace(" ", "\\ ")
    with ollamapy.on_screen("run", "seer", columns=160) as screen:
        screen.enter(f"what is this? {escaped}/p.png")
        screen.wait_for(f"Added image '{folder}/p.png'")
        screen.enter(f"'{folder}/fake.jpg' and this?")
        screen.wait_for("is not a JPEG, PNG or WebP image")
        screen.enter(f"{tmp_path}/note.txt")
        screen.wait_for(f"Added file '{tmp_path}/note.txt'")
        screen.wait_for_prompt()
    first, _, last = messages(fake)
    assert first["content"] == "what is this?"
    assert len(first["images"]) == 1
    assert last["content"] == f"{tmp_path}/note.txt\n\n`{tmp_path}/note.txt`:\n```\nmilk\n```"


def test_a_message_can_be_written_in_an_editor(ollamapy: Command, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "%s from the editor\\n" "$(cat "$1")" > "$1.new"; mv "$1.new" "$1"\n')
    editor.chmod(0o755)
    with ollamapy.on_screen("run", "wren:latest", OLLAMA_EDITOR=str(editor)) as screen:
        screen.wait_for_prompt()
        screen.type("hello\x07")
        screen.wait_for(">>> hello from the editor")
        screen.type("\r")
        screen.wait_for("\nhello from the editor")
