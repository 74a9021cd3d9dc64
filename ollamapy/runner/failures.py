"""What a worker's failures are called: wire kinds and process ends as exceptions of this package."""

from __future__ import annotations

import signal

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
    WorkerTimeoutError,
)
from ollamapy.runner.log import last_words, tells_shortage


def request_error(failed: wire.Failed) -> OllamapyError:
    """Return the exception for a request that a worker refused or could not finish."""
    text = failed.error
    match failed.kind:
        case "context_length" if len(failed.numbers) == 2:
            return ContextLengthError(failed.numbers[0], failed.numbers[1])
        case "context_length" | "invalid":
            return InvalidInputError(text)
        case "unsupported":
            return UnsupportedError(text)
        case "option":
            return OptionError(_option_name(text), text)
        case "capacity":
            return CapacityError(text)
        case "internal":
            return RunnerError(text)


def load_failed_error(name: str, reason: str) -> LoadError:
    """Return the error for a model that llama.cpp refused; OutOfMemoryError where memory ran out."""
    kind = OutOfMemoryError if tells_shortage(reason) else LoadError
    return kind(f"could not load {name}: {reason}")


def load_exit_error(name: str, exit_code: int | None, log_tail: str) -> LoadError:
    """Return the error for a worker that ended before its model was loaded; negative codes are signal numbers.

    It is OutOfMemoryError where memory ran out; the system then sends SIGKILL.
    """
    words = last_words(log_tail)
    kind = OutOfMemoryError if exit_code == -signal.SIGKILL or tells_shortage(words) else LoadError
    return kind(
        f"could not load {name}: its worker process {describe_exit(exit_code)}; "
        "the file may be damaged or the memory too small" + (f". Its last words: {words}" if words else "")
    )


def measure_error(exit_code: int | None, log_tail: str) -> LoadError:
    """Return the error for a worker that ended, or spoke nonsense, when it was asked for its devices."""
    words = last_words(log_tail)
    return LoadError(
        f"a worker process {describe_exit(exit_code)} before it told its devices" + (words and f": {words}")
    )


def load_stall_error(name: str, seconds: float) -> WorkerTimeoutError:
    """Return the error for a load that stopped making progress."""
    return WorkerTimeoutError(
        f"loading {name} made no progress for {seconds:g} seconds; set OLLAMA_LOAD_TIMEOUT to wait longer"
    )


def step_stall_error(name: str, seconds: float) -> WorkerTimeoutError:
    """Return the error for a worker that is busy and has said nothing for too long."""
    return WorkerTimeoutError(
        f"the worker process of {name} made no progress for {seconds:g} seconds and was ended; send the request again, "
        "and set OLLAMAPY_STEP_TIMEOUT to wait longer"
    )


def describe_exit(exit_code: int | None) -> str:
    """Return how a process ended, as the rest of a sentence about it."""
    if exit_code is None:
        return "ended"
    return f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with code {exit_code}"


def _option_name(text: str) -> str:
    head = text.replace(":", " ").split(maxsplit=1)
    return head[0].strip("'\"`") if head else ""
