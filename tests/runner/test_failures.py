from __future__ import annotations

import pytest

from ollamapy import wire
from ollamapy.errors import (
    CapacityError,
    ContextLengthError,
    InvalidInputError,
    OllamapyError,
    OptionError,
    RunnerError,
    UnsupportedError,
)
from ollamapy.runner.failures import load_exit_error, request_error


@pytest.mark.parametrize(
    ("kind", "error_class"),
    [
        ("context_length", ContextLengthError),
        ("invalid", InvalidInputError),
        ("unsupported", UnsupportedError),
        ("option", OptionError),
        ("capacity", CapacityError),
        ("internal", RunnerError),
    ],
)
def test_each_kind_of_failure_has_its_class(kind: wire.ErrorKind, error_class: type[OllamapyError]) -> None:
    assert type(request_error(wire.Failed(1, kind, "text", [90, 64]))) is error_class


def test_a_context_error_knows_both_numbers() -> None:
    error = request_error(wire.Failed(1, "context_length", "", [90, 64]))
    assert isinstance(error, ContextLengthError)
    assert (error.prompt_tokens, error.context_tokens) == (90, 64)


def test_a_context_error_without_numbers_is_an_input_error() -> None:
    assert type(request_error(wire.Failed(1, "context_length", "too long"))) is InvalidInputError


def test_an_option_error_names_its_option() -> None:
    error = request_error(wire.Failed(1, "option", "top_k: must be positive"))
    assert isinstance(error, OptionError)
    assert error.name == "top_k"


def test_a_load_that_ended_tells_how() -> None:
    assert "killed by signal 9" in load_exit_error("wren", -9, "").message
    assert "exited with code 3" in load_exit_error("wren", 3, "boom\n").message
    assert load_exit_error("wren", 3, "error: boom\n").message.endswith("Its last words: error: boom")
