"""The commands of the conversation, on a real terminal."""

from __future__ import annotations

from ollamapy.cli.chat.commands import SETTERS, SWITCHES
from ollamapy.cli.chat.help import SETTINGS
from ollamapy.options import RULES
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama


def test_each_command_answers(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest", lines=200) as screen:
        for typed, answer in (
            ("first", "\nfirst\n"),
            ("/clear", "Cleared session context"),
            ("/?", "Available commands:"),
            ("/help set", "  /set parameter NAME VALUE...  Set a model option, such as temperature"),
            ("/help load", "Available commands:\n  /load MODEL  Go on with another model or a saved session\n\n"),
            ("/? shortcuts", "Available keyboard shortcuts:"),
            ("/what is", "Unknown command '/what'. Type /? for help"),
            ("/set what", "Unknown command '/set what'. Type /? set for help"),
            ("/show what", "Unknown command '/show what'. Type /? show for help"),
            ("/list th", "NAME              ID              SIZE      MODIFIED\nthinker:latest    "),
            ("/show license", "\nMIT License\n"),
            ("/show system", "\nBe brief.\n"),
            ("/show template", "\n{{ .Prompt }}\n"),
            ("/show modelfile", "\nFROM x\n"),
            ("/show info", "    architecture        llama"),
            ("/set format yaml", "Invalid or missing format."),
            ("/set parameter heat 3", "Error: unknown parameter 'heat'"),
            ("/set parameter top_k many", "Error: invalid int value [many] for top_k"),
            ("/set parameter top_k 1 2", "Error: the parameter top_k takes one value"),
            ("/set think much", 'Error: invalid value "much" for think'),
            ("/set think", "Warning: wren:latest is not known to think\nSet 'think' mode."),
            ("second", "\nsecond\n"),
        ):
            screen.enter(typed)
            screen.wait_for(answer)
    assert fake.body("/api/chat")["messages"] == [{"role": "user", "content": "second"}]


def test_what_commands_say_is_wrapped_between_words_unless_told_otherwise(ollamapy: Command) -> None:
    with ollamapy.on_screen("run", "wren:latest", columns=40) as screen:
        for typed in ("/set parameter", "/set parameter heat 3"):
            screen.enter(typed)
            screen.wait_for("xtc_threshold\n")
            names = {name.strip(",") for line in screen.lines for name in line.split() if name.startswith("dry_")}
            assert names == {name for name in RULES if name.startswith("dry_")}
            screen.enter("/clear")
            screen.type("\x0c")
            screen.wait_until(lambda: "xtc_threshold" not in screen.text, "a clear screen")


def test_what_is_set_counts_from_the_next_message_on(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "thinker:latest") as screen:
        for typed in (
            "/set parameter temperature 0.5", '/set parameter stop END "two words"', "/set format json", "/set nothink",
            '/set system """Be\rkind."""', "/set verbose", "hello",
        ):  # fmt: skip
            screen.enter(typed)
        screen.wait_for("eval rate:")
        screen.enter("/show parameters")
        screen.wait_for("Session defined parameters:\n  stop                           END\n")
        asked = fake.body("/api/chat")
        for typed in ("/set noformat", "/set think high", "/set quiet", "/set system Be brief", "bye"):
            screen.enter(typed)
        screen.wait_for("\nbye\n")
        screen.wait_for_prompt()
    assert asked["messages"] == [{"role": "system", "content": "Be\nkind."}, {"role": "user", "content": "hello"}]
    assert asked["options"] == {"temperature": 0.5, "stop": ["END", "two words"]}
    assert (asked["format"], asked["think"]) == ("json", False)
    asked = fake.body("/api/chat")
    assert asked["messages"][0] == {"role": "system", "content": "Be brief"}
    assert (asked.get("format"), asked["think"]) == (None, "high")


def test_a_session_is_saved_with_all_that_was_set_and_loaded_again(ollamapy: Command, fake: FakeOllama) -> None:
    with ollamapy.on_screen("run", "wren:latest") as screen:
        for typed in ("/set system Be kind.", "/set parameter seed 7", "hello", "/save mine"):
            screen.enter(typed)
        screen.wait_for("Created new model 'mine'")
        made = fake.body("/api/create")
        fake.add("mine", messages=made["messages"], capabilities=["completion", "thinking"])
        screen.enter("/load nowhere")
        screen.wait_for("Error: model 'nowhere' not found")
        screen.enter("/load mine")
        screen.wait_for("Loading model 'mine'\n>>> hello\nhello")
        screen.enter("again")
        screen.wait_for("\nagain")
        screen.enter("/save mine")
        screen.wait_until(lambda: screen.text.count("Created new model 'mine'") == 2)
    assert (made["from"], made["system"], made["parameters"]) == ("wren:latest", "Be kind.", {"seed": 7})
    hello = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello "}]
    assert made["messages"] == hello
    assert fake.body("/api/chat")["model"] == "mine"
    assert fake.body("/api/chat")["think"] is True
    again = [{"role": "user", "content": "again"}, {"role": "assistant", "content": "again "}]
    assert fake.body("/api/create")["messages"] == [*hello, *again]


def test_the_help_names_all_that_can_be_set() -> None:
    assert {*SETTERS, *SWITCHES, "history", "nohistory", "noformat"} == set(SETTINGS)
