"""What `show` prints."""

from __future__ import annotations

import json

import pytest

from ollamapy.cli.show import head, value_text
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

OVERVIEW = """\
  Model
    architecture        llama
    parameters          1.2B
    context length      8192
    embedding length    64
    quantization        Q8_0

  Capabilities
    completion

  Parameters
    stop           "<|end of turn|>"
    temperature    0.5

  System
    Be brief.

  License
    MIT License
    Copyright
    ...

"""
METADATA = """\
  Metadata
    general.architecture       llama
    general.parameter_count    1235814400
    llama.context_length       8192
    llama.embedding_length     64
    tokenizer.ggml.tokens      [a, b, c, ...+1 more]

  Tensors
    output.weight    Q8_0    [64, 256]

"""


def test_the_overview_has_sections(ollamapy: Command) -> None:
    done = ollamapy("show", "wren:latest")
    assert (done.returncode, done.stdout, done.stderr) == (0, OVERVIEW, "")


def test_verbose_adds_metadata_and_tensors(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("show", "wren:latest", "-v").stdout == OVERVIEW.replace("  System", METADATA + "  System")
    assert fake.body("/api/show") == {"model": "wren:latest", "verbose": True}


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--license", "MIT License\n\nCopyright\nPermission is granted\n"), ("--modelfile", "FROM x\n\n"),
        ("--system", "Be brief.\n"), ("--template", "{{ .Prompt }}\n"),
    ],
)  # fmt: skip
def test_one_part_is_printed_as_it_is(ollamapy: Command, flag: str, text: str) -> None:
    assert ollamapy("show", "wren:latest", flag).stdout == text


def test_two_parts_are_refused(ollamapy: Command) -> None:
    done = ollamapy("show", "wren:latest", "--license", "--system")
    assert done.returncode == 2
    assert "not allowed with argument --license" in done.stderr


def test_json_is_what_the_server_answered(ollamapy: Command) -> None:
    shown = json.loads(ollamapy("show", "wren:latest", "--json").stdout)
    assert shown["details"]["family"] == "llama"
    assert shown["model_info"]["tokenizer.ggml.tokens"] == ["a", "b", "c", "d"]


def test_a_projector_has_its_section(ollamapy: Command, fake: FakeOllama) -> None:
    info = {"general.architecture": "clip", "general.parameter_count": 9_000_000, "clip.vision.projection_dim": 64}
    fake.add("eye", projector_info=info)
    assert (
        "  Projector\n    architecture    clip\n    parameters      9M\n    dimensions      64\n\n"
        in ollamapy("show", "eye").stdout
    )


def test_only_the_first_lines_of_a_long_text_are_shown() -> None:
    assert head("a\n\n b \n") == [["a"], ["b"]]
    assert head("a\nb\nc") == [["a"], ["b"], ["..."]]
    assert head("") == []


def test_arrays_are_shortened() -> None:
    assert value_text([1, 2, 3]) == "[1, 2, 3]"
    assert value_text(list(range(10))) == "[0, 1, 2, ...+7 more]"
    assert value_text(None) == ""
    assert value_text([True, 0.0, 0.5, 4]) == "[true, 0, 0.5, ...+1 more]"


def test_values_are_written_as_in_json() -> None:
    values = [False, True, 0.0, 10000.0, 1e-05, 1e300, 7, "text"]
    assert list(map(value_text, values)) == ["false", "true", "0", "10000", "1e-05", "1e+300", "7", "text"]


def test_what_a_model_brings_along_can_not_steer_the_terminal(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("evil", license="MIT\x1b]0;owned\x07 licence\r", system="\x1b[2Jgone\tnot", capabilities=["completion"])
    with ollamapy.on_screen("show", "evil", "--license") as screen:
        assert screen.wait_for_end() == 0
        assert screen.lines == ["MIT]0;owned licence"]
    with ollamapy.on_screen("show", "evil") as screen:
        assert screen.wait_for_end() == 0
        assert b"\x1b" not in screen.raw
    assert ollamapy("show", "evil", "--license").stdout.startswith("MIT\x1b]0;owned\x07 licence")
