"""The exit code of each kind of error; 130 is an interrupt and 2 also a command line that can't be read."""

from __future__ import annotations

from collections.abc import Mapping

from ollamapy.errors import (
    CapacityError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    OllamapyError,
    RegistryError,
    RunnerError,
    ServiceError,
    StoreError,
)

USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

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


def exit_code(error: OllamapyError) -> int:
    """Return the exit code of the error's nearest class in the table."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
