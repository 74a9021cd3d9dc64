from __future__ import annotations

import pytest

from ollamapy import wire
from ollamapy.errors import (
    CapacityError,
    ContextLengthError,
    InvalidInputError,
    LoadError,
    OllamapyError,
    OptionError,
    OutOfMemoryError,
    RunnerError,
    UnsupportedError,
)
from ollamapy.runner.failures import load_exit_error, load_failed_error, request_error


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


@pytest.mark.parametrize(
    ("reason", "is_memory"),
    [
        ("llama.cpp could not load the model file: error loading model: unable to allocate CUDA0 buffer", True),
        ("could not create a context: failed to initialize the context: failed to allocate buffer for kv cache", True),
        ("failed to reserve initial output buffer", True),
        ("mmap failed: Cannot allocate memory", True),
        ("CUDA error: out of memory", True),
        ("error loading model: std::bad_alloc", True),
        ("error loading model: missing tensor 'token_embd.weight'", False),
        ("gguf_read: encountered bad_alloc error while reading value for key 'x'", False),  # a damaged file's sizes
    ],
)
def test_a_load_that_ran_out_of_memory_is_told_from_others(reason: str, is_memory: bool) -> None:
    assert type(load_failed_error("m", reason)) is (OutOfMemoryError if is_memory else LoadError)
    assert type(load_exit_error("m", 1, f"E {reason}\n")) is (OutOfMemoryError if is_memory else LoadError)


def test_a_worker_that_was_killed_while_it_loaded_was_so_for_want_of_memory() -> None:
    assert type(load_exit_error("m", -9, "")) is OutOfMemoryError
    assert type(load_exit_error("m", -11, "")) is LoadError
