"""Every error that ollamapy raises on purpose.

OllamapyError
├ InvalidInputError        the caller sent something wrong; nothing was changed
│ ├ InvalidNameError       a model name
│ ├ InvalidDigestError     a blob digest
│ ├ InvalidFileError       a GGUF, adapter or other file that is not what it claims to be
│ ├ ModelfileError         a Modelfile; knows its line
│ ├ TemplateError          a prompt template that fails or exceeds its bounds
│ ├ OptionError            a model option; knows its name
│ ├ ContextLengthError     a prompt that does not fit; knows both numbers
│ ├ UnsupportedError       the model can't do what was asked (tools, images, …)
│ ├ TooLargeError          a request body or an upload beyond the limit
│ └ ConfigError            an environment variable or a configuration key
├ ForbiddenError           refused by policy (host, origin, API key)
├ NotFoundError
│ ├ ModelNotFoundError
│ └ BlobNotFoundError
├ StoreError               the model store on disk
│ ├ DigestMismatchError
│ └ ManifestError
├ RegistryError            a registry of models, or the way to it
│ ├ RemoteNotFoundError    it does not have what was asked for
│ ├ UnauthorizedError      it wants other credentials
│ ├ RegistryUnavailableError  unreachable, overloaded or stalled; knows when to come back
│ └ TransferError          it answered what makes no sense
├ CapacityError            the machine is full; trying again later may work
│ ├ QueueFullError
│ ├ ModelTooLargeError
│ ├ ModelRestingError      it failed too often lately; knows when to come back
│ └ DiskFullError
├ RunnerError              the worker process
│ ├ LoadError
│ │ └ OutOfMemoryError     there was less memory than the model took
│ ├ WorkerExitedError      knows exit code and last words
│ └ WorkerTimeoutError
└ ServiceError             the daemon itself (port in use, unreachable, …)

Errors know no HTTP and no exit codes: `server/errors.py` and `cli/errors.py` hold one table each, and a test fails
for a class without a row. Each message is one sentence that names the cause, followed by what to do where that helps.
"""

from __future__ import annotations


class OllamapyError(Exception):
    """Root of all errors of this package."""

    @property
    def message(self) -> str:
        """Text for the user, without a stack trace, absolute path or secret."""
        return str(self.args[0]) if self.args else type(self).__name__


class InvalidInputError(OllamapyError):
    """The caller sent something wrong; nothing was changed."""


class InvalidNameError(InvalidInputError):
    """A model name outside the grammar `[host/][namespace/]model[:tag]`."""


class InvalidDigestError(InvalidInputError):
    """A digest that is not `sha256:` and 64 lower-case hex digits."""


class InvalidFileError(InvalidInputError):
    """A file that is malformed or of another kind than was asked for."""


class ModelfileError(InvalidInputError):
    """A Modelfile that can't be parsed; `line` counts from 1, 0 when no line is to blame."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"(line {line}): {message}" if line else message)
        self.line = line


class TemplateError(InvalidInputError):
    """A prompt template that does not parse, raises, or exceeds its bounds."""


class OptionError(InvalidInputError):
    """A model option of the wrong type or outside its range."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class ContextLengthError(InvalidInputError):
    """A prompt longer than the context that it may use; `trained_tokens` bounds that, 0 where it is not known.

    With `is_least` the prompt has `prompt_tokens` or more: it is so long that nobody counted.
    """

    def __init__(
        self, prompt_tokens: int, context_tokens: int, trained_tokens: int = 0, *, is_least: bool = False
    ) -> None:
        remedy = f"shorten it or set num_ctx to more than {prompt_tokens}"
        if 0 < trained_tokens <= prompt_tokens:
            remedy = f"shorten it: the model was trained for {trained_tokens} tokens"
        super().__init__(
            f"the prompt is too long: it has {'at least ' if is_least else ''}{prompt_tokens} tokens "
            f"but the context length is {context_tokens}; {remedy}"
        )
        self.is_least = is_least
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class UnsupportedError(InvalidInputError):
    """The model lacks the capability that the request needs."""


class TooLargeError(InvalidInputError):
    """A request body or an upload beyond the limit; nothing of it was kept."""


class ConfigError(InvalidInputError):
    """A bad environment variable or configuration value; `key` names it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


class ForbiddenError(OllamapyError):
    """Refused by policy."""


class NotFoundError(OllamapyError):
    """Something that was named does not exist."""


class ModelNotFoundError(NotFoundError):
    """No manifest of that name is in the store; `name` is the name as the caller wrote it."""

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message or f"model '{name}' not found")
        self.name = name


class BlobNotFoundError(NotFoundError):
    """No verified blob of that digest is in the store."""


class StoreError(OllamapyError):
    """The model store can't be read or written."""


class DigestMismatchError(StoreError):
    """Content whose sha256 is not the digest that it was given under."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f'digest mismatch, expected "{expected}", got "{got}"')
        self.expected = expected
        self.got = got


class ManifestError(StoreError):
    """A manifest or model configuration that is malformed."""


class RegistryError(OllamapyError):
    """A registry of models, or the way to it, failed."""


class RemoteNotFoundError(RegistryError):
    """The registry does not have what was asked for."""


class UnauthorizedError(RegistryError):
    """The registry wants other credentials than it got."""


class RegistryUnavailableError(RegistryError):
    """The registry can't be reached, is overloaded, or stalls: the same may work later.

    `retry_after_seconds` is what it asked for, None where it did not. With `is_unreachable` there was no connection.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.is_unreachable = is_unreachable


class TransferError(RegistryError):
    """The registry answered something other than was asked for; nothing of it was kept."""


class CapacityError(OllamapyError):
    """The machine is full; the same request may succeed later, and not before `retry_after_seconds` have passed."""

    retry_after_seconds: float = 1.0


class QueueFullError(CapacityError):
    """Too many requests are waiting (`OLLAMA_MAX_QUEUE`)."""

    def __init__(self) -> None:
        super().__init__("server busy, please try again.  maximum pending requests exceeded")


class ModelTooLargeError(CapacityError):
    """The model does not fit into this machine's memory."""


class ModelRestingError(CapacityError):
    """The model failed too often lately when it was loaded like this."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DiskFullError(CapacityError):
    """There is not enough free space on the disk; nothing was begun."""


class RunnerError(OllamapyError):
    """A worker process failed."""


class LoadError(RunnerError):
    """The worker could not load the model."""


class OutOfMemoryError(LoadError):
    """The worker could not load the model because there was less memory than it took."""


class WorkerExitedError(RunnerError):
    """The worker died while it served requests; negative exit codes are signal numbers.

    Of its log the message tells `last_words` alone, what it complained of in the end.
    """

    def __init__(self, exit_code: int | None, log_tail: str = "", last_words: str = "") -> None:
        how = "ended" if exit_code is None else f"exited with code {exit_code}"
        if exit_code is not None and exit_code < 0:
            how = f"was killed by signal {-exit_code}"
        last = f" Its last words: {last_words}" if last_words else ""
        super().__init__(
            f"the model's worker process {how} while it was answering; "
            f"send the request again to load the model anew.{last}"
        )
        self.exit_code = exit_code
        self.log_tail = log_tail


class WorkerTimeoutError(RunnerError):
    """The worker did not answer in time."""


class ServiceError(OllamapyError):
    """The daemon could not start, be reached, or be stopped."""
