"""The exit code and the words for each kind of error.

130 is an interrupt, 141 an output that nobody reads or that can't be written, and 2 also a command line that can't be
read. What goes wrong in the daemon has the same code as in the command itself, where the daemon is ollamapy; Ollama's
tells no kinds.
"""

from __future__ import annotations

from collections.abc import Mapping

from ollamapy.errors import (
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    OllamapyError,
    RegistryError,
    RunnerError,
    ServiceError,
    StoreError,
)

USAGE = 2
INTERRUPTED = 130
OUTPUT_LOST = 141
LIST_COMMAND = "`ollamapy list`"

EXIT_CODES: Mapping[type[OllamapyError], int] = {
    OllamapyError: 1,
    InvalidInputError: USAGE,
    NotFoundError: 3,
    ForbiddenError: 4,
    StoreError: 5,
    CapacityError: 6,
    RunnerError: 7,
    ServiceError: 8,
    RegistryError: 9,
}


def told(error: OllamapyError) -> str:
    """Return an error's message; of a model that is missing also where to see which there are."""
    is_missing = isinstance(error, ModelNotFoundError) and LIST_COMMAND not in error.message
    return f"{error.message}; {LIST_COMMAND} shows the models that there are" if is_missing else error.message


def exit_code(error: OllamapyError) -> int:
    """Return the exit code of the error's nearest class in the table."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
