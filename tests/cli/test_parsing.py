"""Words of a command line become the values of its function."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from ollamapy.cli import cp, create, ps, rm, run, show
from ollamapy.cli import list as list_command
from ollamapy.cli.parsing import Parser, expand_bare_options, invoke
from ollamapy.errors import InvalidInputError


def values(module: Any, *words: str) -> dict[str, Any]:
    """What the module's function would be called with."""
    got: dict[str, Any] = {}
    invoke(SimpleNamespace(add_arguments=module.add_arguments, command=got.update), "x", words)
    return {name: value for name, value in got.items() if value not in (None, False, "", [])}


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        (run, "wren", {"model": "wren"}),
        (run, "wren say this", {"model": "wren", "prompt": ["say", "this"]}),
        (run, "wren --verbose say --keepalive 10m this", {
            "model": "wren", "prompt": ["say", "this"], "verbose": True, "keepalive": "10m"}),
        (run, "--think wren say", {"model": "wren", "prompt": ["say"], "think": "true"}),
        (run, "--think=high wren", {"model": "wren", "think": "high"}),
        (run, "wren --format json --nowordwrap --hidethinking", {
            "model": "wren", "format_": "json", "nowordwrap": True, "hidethinking": True}),
        (run, "wren -- --think", {"model": "wren", "prompt": ["--think"]}),
        (run, "-- wren --help", {"model": "wren", "prompt": ["--help"]}),
        (run, "wren a -- -- b", {"model": "wren", "prompt": ["a", "--", "b"]}),
        (cp, "a -- -b", {"source": "a", "destination": "-b"}),
        (run, "wren --keepalive -1", {"model": "wren", "keepalive": "-1"}),
        (show, "wren --license", {"model": "wren", "part": "license"}),
        (show, "wren -v", {"model": "wren", "verbose": True}),
        (show, "wren --json", {"model": "wren", "part": "json"}),
        (create, "new -f file", {"model": "new", "file": "file"}),
        (list_command, "", {}),
        (list_command, "wr --json", {"prefix": "wr", "as_json": True}),
        (ps, "wr", {"prefix": "wr"}),
        (cp, "a b", {"source": "a", "destination": "b"}),
        (rm, "a b", {"models": ["a", "b"]}),
    ],
    ids=str,
)  # fmt: skip
def test_words_have_their_meaning(module: Any, line: str, expected: dict[str, Any]) -> None:
    assert values(module, *line.split()) == expected


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (run, ""), (run, "wren --nope"), (run, "wren --verb"), (show, "wren --license --system"), (cp, "a"),
        (cp, "a b c"), (rm, ""), (list_command, "a b"), (create, "new -f"),
    ],
    ids=str,
)  # fmt: skip
def test_words_without_a_meaning_are_refused_with_where_to_look(module: Any, line: str) -> None:
    with pytest.raises(InvalidInputError, match="`ollamapy help x` tells more"):
        values(module, *line.split())


def test_an_option_that_may_stand_bare_takes_no_other_word() -> None:
    assert expand_bare_options(["--think", "wren", "--think=low", "--", "--think"]) == [
        "--think=true", "wren", "--think=low", "\0--think",
    ]  # fmt: skip


def test_only_what_is_missing_is_asked_for() -> None:
    with pytest.raises(InvalidInputError, match=r"required: MODEL;"):
        values(run)


def test_help_shows_that_the_value_of_a_bare_option_is_joined_to_it() -> None:
    parser = Parser("run", "")
    run.add_arguments(parser)
    assert re.search(r"^  --think\[=LEVEL\] +whether", parser.format_help(), re.MULTILINE)
    assert "--think LEVEL" not in parser.format_help()
