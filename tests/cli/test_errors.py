"""Every kind of error has its exit code."""

from __future__ import annotations

import inspect

import pytest

from ollamapy import errors
from ollamapy.cli.errors import EXIT_CODES, exit_code, told
from ollamapy.errors import (
    BlobNotFoundError,
    LoadError,
    ModelfileError,
    ModelNotFoundError,
    OllamapyError,
    QueueFullError,
)

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OllamapyError)]


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not OllamapyError])
def test_every_class_has_a_row_of_its_own_or_of_a_class_above_it(kind: type[OllamapyError]) -> None:
    rows = [EXIT_CODES[above] for above in kind.__mro__ if above in EXIT_CODES and above is not OllamapyError]
    assert rows, f"{kind.__name__} needs a row in EXIT_CODES"


def test_exit_codes_differ_by_row_and_stay_clear_of_signals() -> None:
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert all(0 < code < 64 for code in EXIT_CODES.values())


def test_a_missing_model_comes_once_with_where_to_look() -> None:
    text = "model 'x' not found; `ollamapy list` shows the models that there are"
    assert told(ModelNotFoundError("x")) == text
    assert told(ModelNotFoundError("x", text)) == text
    assert told(BlobNotFoundError("no blob")) == "no blob"


def test_the_nearest_class_decides() -> None:
    assert exit_code(ModelfileError("x", 3)) == 2
    assert exit_code(BlobNotFoundError("x")) == 3
    assert exit_code(QueueFullError()) == 6
    assert exit_code(LoadError("x")) == 7
    assert exit_code(OllamapyError("x")) == 1
