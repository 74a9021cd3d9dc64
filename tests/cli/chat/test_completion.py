"""What Tab offers at the prompt."""

from __future__ import annotations

import pytest

from ollamapy.cli.chat.completion import candidates


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/s", ["/set", "/show", "/save"]),
        ("/set no", ["nohistory", "nowordwrap", "nomarkdown", "noformat", "nothink"]),
        ("/set parameter top", ["top_k", "top_n_sigma", "top_p"]),
        ("/set think h", ["high"]),
        ("/set  format ", ["json"]),
        ("/show sys", ["system"]),
        ("/load W", ["wren:latest"]),
        ("/? s", ["set", "show", "save", "shortcuts"]),
        ("/set parameter seed ", []),
        ("hello", []),
        ("/load\nwr", []),
    ],
)
def test_commands_settings_and_models_are_offered(line: str, words: list[str]) -> None:
    assert [offered.word for offered in candidates(line, lambda: ["wren:latest", "other:latest"])] == words


def test_no_models_are_asked_for_where_none_may_stand() -> None:
    def fail() -> list[str]:
        raise AssertionError

    assert candidates("/show i", fail)[0].about == "All about the model"
